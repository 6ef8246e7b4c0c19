import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const COPY = /^[0-9a-f]{64}$/;
const HALF_WRITTEN = /^\.[0-9a-f]{64}\./;

/**
 * The last good text of every manifest, kept so that it outlives the agent. Copies are named by a hash: a manifest's path may
 * hold anything.
 */
export class SavedManifests {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Returns the last good text of the manifest at `path`, if there is one. */
  async read(path: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.folder, copyName(path)), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** Keeps `text`, whole or not at all, readable by root alone. */
  async write(path: string, text: string): Promise<void> {
    const name = copyName(path);
    if ((await this.read(path)) === text) return;
    const aside = join(this.folder, `.${name}.${randomUUID()}`);
    try {
      await this.#create(aside, text);
      await rename(aside, join(this.folder, name));
    } catch (error) {
      await rm(aside, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** Removes the copies of all manifests but these, and what a crash left half-written. */
  async keepOnly(paths: Iterable<string>): Promise<void> {
    const kept = new Set(Array.from(paths, copyName));
    const names = await readdir(this.folder).catch(() => []);
    const stale = names.filter((name) => HALF_WRITTEN.test(name) || (COPY.test(name) && !kept.has(name)));
    await Promise.all(stale.map(async (name) => await rm(join(this.folder, name), { force: true })));
  }

  async #create(path: string, text: string): Promise<void> {
    const options = { flag: 'wx', mode: 0o600 };
    try {
      await writeFile(path, text, options);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(path, text, options);
    }
  }
}

function copyName(path: string): string {
  return createHash('sha256').update(resolve(path)).digest('hex');
}
