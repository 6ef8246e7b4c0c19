import { isDeepStrictEqual } from 'node:util';
import { changesBetween, NO_OBJECTS, type Cluster, type ClusterChanges } from '../kube/cluster.ts';
import { printable } from '../net/quote.ts';
import { assemble } from './assemble.ts';
import { FolderWatch } from './folderWatch.ts';
import { KnownFiles } from './knownFiles.ts';
import { listManifests } from './listing.ts';
import type { Listing } from './listing.ts';
import { SavedManifests } from './savedManifests.ts';
import type { Source, SourceProblem, SourceState } from './source.ts';

export interface DirectoryOptions {
  /** The directory of manifests. */
  readonly path: string;
  /** Where the last good content of each manifest is kept across restarts; undefined to keep it in memory only. */
  readonly stateDir: string | undefined;
}

/** How long a folder must be quiet before it is read: a file written in several steps is read once. */
const QUIET_MS = 10;
/** A folder that is never quiet is read this long after its first change. */
const LONGEST_WAIT_MS = 100;
/** What inotify does not tell (network file systems, targets of links, a directory that is away) is seen this late. */
const RESCAN_MS = 2000;
/** How long another directory must stand at the path before it is believed: its files may still be on their way. */
const REPLACED_MS = 1000;

/**
 * Returns a source that holds the namespaces, pods and policies of a directory of YAML and JSON files, and watches it. A file
 * that cannot be read or decoded keeps its last good content; so does everything while the directory itself is away.
 */
export function directorySource(options: DirectoryOptions): Source {
  return new DirectorySource(options);
}

class DirectorySource implements Source {
  readonly #path: string;
  readonly #files: KnownFiles;
  readonly #watch = new FolderWatch(() => this.#notice());
  #state: SourceState = {
    inSync: false,
    cluster: NO_OBJECTS,
    problems: [],
    away: undefined,
  };
  #taken: Cluster = NO_OBJECTS;
  #onChange: () => void = () => {};

  /** The scan under way or done last, and the one that is to follow it. */
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #isNextThorough = false;
  #isStopped = false;
  #rescan: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #firstNotice: number | undefined;

  /** The directory that was believed last, and since when another one stands there. */
  #root: string | undefined;
  #replacedAt: number | undefined;

  constructor({ path, stateDir }: DirectoryOptions) {
    this.#path = path;
    this.#files = new KnownFiles(stateDir === undefined ? undefined : new SavedManifests(stateDir));
  }

  state(): SourceState {
    return this.#state;
  }

  takeChanges(): ClusterChanges {
    const { cluster } = this.#state;
    const changes = changesBetween(this.#taken, cluster);
    this.#taken = cluster;
    return changes;
  }

  async start(onChange: () => void): Promise<void> {
    this.#onChange = onChange;
    await this.#request({ thorough: true });
    this.#rescan = setInterval(() => void this.#request({ thorough: false }), RESCAN_MS);
  }

  async refresh(): Promise<void> {
    await this.#request({ thorough: true });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#rescan);
    await this.#running;
    this.#watch.follow(new Map());
    clearTimeout(this.#soon);
  }

  #notice(): void {
    const now = performance.now();
    this.#firstNotice ??= now;
    clearTimeout(this.#soon);
    const longest = this.#firstNotice + LONGEST_WAIT_MS - now;
    this.#soon = setTimeout(
      () => {
        this.#firstNotice = undefined;
        void this.#request({ thorough: false });
      },
      Math.min(QUIET_MS, Math.max(0, longest)),
    );
  }

  /** Resolves after a scan that begins after this call. Requests that wait for the same scan share it. */
  async #request({ thorough }: { thorough: boolean }): Promise<void> {
    this.#isNextThorough ||= thorough;
    if (this.#next === undefined) {
      this.#next = this.#scanAfter(this.#running);
      this.#running = this.#next;
    }
    await this.#next;
  }

  async #scanAfter(previous: Promise<void>): Promise<void> {
    await previous;
    const thorough = this.#isNextThorough;
    this.#next = undefined;
    this.#isNextThorough = false;
    if (!this.#isStopped) await this.#scan(thorough);
  }

  async #scan(thorough: boolean): Promise<void> {
    const listing = await this.#list();
    if (listing === undefined) return;
    const unwatched = this.#watch.follow(listing.folders);
    if (!thorough && this.#isReplacing(listing)) return;
    this.#root = listing.folders.get(this.#path);
    this.#replacedAt = undefined;
    await this.#files.update(listing, thorough);
    this.#publish(true, [...describe(listing.unread, 'read'), ...describe(unwatched, 'watch')]);
  }

  async #list(): Promise<Listing | undefined> {
    try {
      const listing = await listManifests(this.#path);
      // A large directory is read in parts, and what is renamed in between can be in none of them.
      return this.#files.areAllIn(listing) ? listing : await listManifests(this.#path);
    } catch (error) {
      this.#watch.follow(new Map());
      const reason = error instanceof Error ? error.message : String(error);
      this.#publish(this.#state.inSync, describe(new Map([[this.#path, reason]]), 'list'));
      return undefined;
    }
  }

  #isReplacing(listing: Listing): boolean {
    if (this.#root === undefined || this.#root === listing.folders.get(this.#path)) return false;
    this.#replacedAt ??= performance.now();
    return performance.now() - this.#replacedAt < REPLACED_MS;
  }

  #publish(inSync: boolean, found: readonly SourceProblem[]): void {
    const { cluster, problems: duplicates } = assemble(this.#files.contents(), this.#state.cluster);
    const problems = [...found, ...this.#files.problems(), ...duplicates].map(printableProblem);
    const previous = this.#state;
    if (cluster === previous.cluster && inSync === previous.inSync && isDeepStrictEqual(problems, previous.problems))
      return;
    this.#state = { inSync, cluster, problems, away: undefined };
    this.#onChange();
  }
}

function printableProblem({ where, line, message }: SourceProblem): SourceProblem {
  return { where: printable(where), line, message: printable(message) };
}

function describe(reasons: ReadonlyMap<string, string>, action: 'list' | 'read' | 'watch'): readonly SourceProblem[] {
  return Array.from(reasons, ([where, reason]) => ({ where, line: undefined, message: `Cannot ${action}: ${reason}` }));
}
