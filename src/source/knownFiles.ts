import { createHash } from 'node:crypto';
import type { FileObjects } from './assemble.ts';
import type { ListedFile, Listing } from './listing.ts';
import { readManifest } from './manifest.ts';
import type { ManifestObject, ManifestProblem } from './manifest.ts';
import { readManifestFile } from './manifestFile.ts';
import type { ManifestText } from './manifestFile.ts';
import type { SavedManifests } from './savedManifests.ts';
import type { SourceProblem } from './source.ts';

/** How long an emptied file must stay empty before it is believed: a slow writer empties it first. */
const EMPTIED_MS = 1000;
const MOST_FILE_PROBLEMS = 20;
const READ_AT_ONCE = 8;

interface KnownFile {
  /** Undefined when the file is to be read again whatever its signature. */
  readonly signature: string | undefined;
  /** Of the text that `problems` is about; undefined when that text is to be read as if it were new. */
  readonly digest: string | undefined;
  /** The last good content. */
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly ManifestProblem[];
  readonly emptiedAt: number | undefined;
}

/** The last good content of every manifest, and what is wrong with those that changed since. */
export class KnownFiles {
  readonly #saved: SavedManifests | undefined;
  #files: ReadonlyMap<string, KnownFile> = new Map();
  /** Copies of an earlier run may be of manifests that went meanwhile. */
  #hasStaleCopies = true;
  #pruneProblems: readonly SourceProblem[] = [];

  constructor(saved: SavedManifests | undefined) {
    this.#saved = saved;
  }

  /** Tells whether every file that is known is in the listing. */
  areAllIn(listing: Listing): boolean {
    const paths = new Set(listing.files.map(({ path }) => path));
    return this.#files.keys().every((path) => paths.has(path));
  }

  /** Reads the files that changed; with `thorough` all of them, and takes an emptied one at its word. */
  async update(listing: Listing, thorough: boolean): Promise<void> {
    const files = new Map<string, KnownFile>();
    for (let start = 0; start < listing.files.length; start += READ_AT_ONCE) {
      const some = listing.files.slice(start, start + READ_AT_ONCE);
      const read = await Promise.all(some.map(async (file) => await this.#read(file, thorough)));
      some.forEach(({ path }, index) => setKnown(files, path, read[index]));
    }
    for (const path of listing.unread.keys()) await this.#keepUnread(files, path);
    this.#hasStaleCopies ||= this.#files.keys().some((path) => !files.has(path));
    this.#files = files;
    if (this.#hasStaleCopies && listing.unread.size === 0) await this.#prune();
  }

  /** Returns the content of all files, in the order of their paths. */
  contents(): readonly FileObjects[] {
    return Array.from(this.#files, ([path, { objects }]) => ({ path, objects })).toSorted((a, b) =>
      a.path < b.path ? -1 : 1,
    );
  }

  /** Returns what is wrong with the files, the first 20 problems of each. */
  problems(): readonly SourceProblem[] {
    return [...this.#pruneProblems, ...Array.from(this.#files).flatMap(([where, file]) => problemsOf(where, file))];
  }

  async #read(listed: ListedFile, thorough: boolean): Promise<KnownFile | undefined> {
    const known = this.#files.get(listed.path);
    if (known !== undefined && !thorough && known.signature === listed.signature) return known;
    try {
      const read = await readManifestFile(listed.path);
      if (!thorough && known !== undefined && isEmptying(read, known)) {
        return { ...known, signature: undefined, emptiedAt: known.emptiedAt ?? performance.now() };
      }
      return await this.#take(listed.path, read, known);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      const problem = { line: undefined, message: `Cannot read: ${messageOf(error)}` };
      return { ...unread, objects: known?.objects ?? (await this.#restore(listed.path)), problems: [problem] };
    }
  }

  async #take(path: string, read: ManifestText, known: KnownFile | undefined): Promise<KnownFile> {
    const digest = createHash('sha256').update(read.text).digest('base64');
    if (known?.digest === digest) return { ...known, signature: read.signature, emptiedAt: undefined };
    const manifest = await readManifest(read.text);
    const taken = { signature: read.signature, digest, emptiedAt: undefined };
    if (manifest.kind === 'invalid') {
      return { ...taken, objects: known?.objects ?? (await this.#restore(path)), problems: manifest.problems };
    }
    const failure = await this.#save(path, read.text);
    if (failure === undefined) return { ...taken, objects: manifest.objects, problems: [] };
    return { ...unread, objects: manifest.objects, problems: [failure] };
  }

  // What cannot be looked at keeps what it had.
  async #keepUnread(files: Map<string, KnownFile>, path: string): Promise<void> {
    const kept = Array.from(this.#files).filter(([known]) => known === path || known.startsWith(`${path}/`));
    for (const [known, file] of kept) files.set(known, { ...file, signature: undefined });
    if (kept.length === 0) files.set(path, { ...unread, objects: await this.#restore(path), problems: [] });
  }

  async #restore(path: string): Promise<readonly ManifestObject[]> {
    const text = await this.#saved?.read(path);
    const manifest = await readManifest(text ?? '');
    return manifest.kind === 'valid' ? manifest.objects : [];
  }

  async #save(path: string, text: string): Promise<ManifestProblem | undefined> {
    try {
      await this.#saved?.write(path, text);
      return undefined;
    } catch (error) {
      return { line: undefined, message: `Cannot keep a copy for the next start: ${messageOf(error)}` };
    }
  }

  // A copy that stays behind would come back to life with the next bad file of its name.
  async #prune(): Promise<void> {
    try {
      await this.#saved?.keepOnly(this.#files.keys());
      this.#hasStaleCopies = false;
      this.#pruneProblems = [];
    } catch (error) {
      const message = `Cannot remove copies of manifests that are gone: ${messageOf(error)}`;
      this.#pruneProblems = [{ where: this.#saved?.folder ?? '', line: undefined, message }];
    }
  }
}

const unread = { signature: undefined, digest: undefined, emptiedAt: undefined };

function setKnown(files: Map<string, KnownFile>, path: string, file: KnownFile | undefined): void {
  if (file !== undefined) files.set(path, file);
}

function problemsOf(where: string, { problems }: KnownFile): readonly SourceProblem[] {
  const shown = problems.slice(0, MOST_FILE_PROBLEMS).map((problem) => ({ where, ...problem }));
  const hidden = problems.length - shown.length;
  return hidden === 0 ? shown : [...shown, { where, line: undefined, message: `Has ${hidden} more problems` }];
}

function isEmptying(read: ManifestText, known: KnownFile): boolean {
  if (read.text !== '' || known.objects.length === 0) return false;
  return known.emptiedAt === undefined || performance.now() - known.emptiedAt < EMPTIED_MS;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
