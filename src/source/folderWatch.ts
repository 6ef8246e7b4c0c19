import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

interface Watched {
  readonly identity: string;
  readonly watcher: FSWatcher;
}

/** Watches folders by inotify and calls `onNotice` for whatever happens in them. */
export class FolderWatch {
  readonly #onNotice: () => void;
  readonly #watched = new Map<string, Watched>();

  constructor(onNotice: () => void) {
    this.#onNotice = onNotice;
  }

  /**
   * Watches these folders (path to identity) and no others. A folder that is new here is noticed at once: it may have
   * changed between its listing and its watch. Returns why folders are not watched.
   */
  follow(folders: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    for (const [path, { identity }] of this.#watched) {
      if (folders.get(path) !== identity) this.#forget(path);
    }
    const failures = new Map<string, string>();
    for (const [path, identity] of folders) {
      if (this.#watched.has(path)) continue;
      const failure = this.#add(path, identity);
      if (failure !== undefined) failures.set(path, failure);
    }
    return failures;
  }

  #add(path: string, identity: string): string | undefined {
    try {
      const watcher = watch(path, { encoding: 'buffer' }, this.#onNotice);
      watcher.on('error', () => {
        this.#forget(path);
        this.#onNotice();
      });
      this.#watched.set(path, { identity, watcher });
      this.#onNotice();
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #forget(path: string): void {
    this.#watched.get(path)?.watcher.close();
    this.#watched.delete(path);
  }
}
