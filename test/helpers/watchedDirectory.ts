import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { directorySource } from '../../src/source/directory.ts';
import type { Source, SourceState } from '../../src/source/source.ts';

/** A directory of manifests in a temporary place, and the sources that a test starts on it. Goes with `using` or `await using`. */
export class WatchedDirectory implements AsyncDisposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'nwplcy-source-'));
  readonly path = join(this.#root, 'manifests');
  readonly stateDir = join(this.#root, 'state');
  readonly #sources: Source[] = [];
  /** Every state that a source told of, oldest first. */
  readonly states: SourceState[] = [];
  #onState: () => void = () => {};

  constructor() {
    mkdirSync(this.path);
  }

  /** Writes a file below the directory, with the folders it is in. */
  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), text);
  }

  /** Starts a source; the one before is stopped, as an agent that is started again would find it. */
  async start(stateDir: string | undefined = this.stateDir): Promise<Source> {
    await this.#sources.pop()?.stop();
    const source = directorySource({ path: this.path, stateDir });
    this.#sources.push(source);
    await source.start(() => {
      this.states.push(source.state());
      this.#onState();
    });
    return source;
  }

  /** Resolves with the first state, of those told already or later, that `isWanted`. */
  async until(isWanted: (state: SourceState) => boolean): Promise<SourceState> {
    const { promise, resolve } = Promise.withResolvers<SourceState>();
    this.#onState = () => {
      const found = this.states.find(isWanted);
      if (found !== undefined) resolve(found);
    };
    this.#onState();
    return await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sources.pop()?.stop();
    rmSync(this.#root, { recursive: true });
  }
}

/** Returns the manifest of a pod, or of several by their names. */
export function podText(...names: readonly string[]): string {
  return names.map((name) => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\n`).join('---\n');
}

/** Returns the names of a state's pods. */
export function podNames({ cluster }: SourceState): readonly string[] {
  return [...cluster.pods.keys()].map((key) => key.slice('default/'.length));
}
