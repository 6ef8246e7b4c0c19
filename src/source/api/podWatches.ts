import { child, text, type JsonObject } from './apiObject.ts';
import type { Failure, Followed } from './followed.ts';
import type { ListWatch } from './listWatch.ts';
import { Lingering } from './lingering.ts';
import { PodUnion, type PodsInView, type ReadPod } from './podUnion.ts';
import type { PodView } from './podViews.ts';

/** What is not needed any more is watched for so long. */
const LINGER_MS = 60_000;
/** Who changes selectors all the time is not to have watches without end. */
const MOST_LINGERING = 32;

const ALL_PODS = '/api/v1/pods';

/** Which pods, as the API is asked for them. */
export interface PodQuery {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** An API server that streams a list walks all pods of the cluster for it. A list of a node's or a namespace's it takes from an index. */
  readonly inPages: boolean;
}

export interface PodWatchesOptions {
  readonly nodeName: string;
  /** Which pods are followed from the beginning. */
  readonly which: 'all' | 'own';
  /** Returns a watch of these pods. */
  readonly follow: (query: PodQuery) => ListWatch<ReadPod>;
  /** Called when a watch does not count any more. */
  readonly onChange: () => void;
}

interface Watch extends PodsInView {
  readonly watch: ListWatch<ReadPod>;
}

/** Follows the node's own pods and, in as few watches as can be, those that it needs to know besides. */
export class PodWatches implements Followed<ReadPod> {
  readonly #options: PodWatchesOptions;
  readonly #own: ListWatch<ReadPod>;
  readonly #union: PodUnion;
  /** Every watch that runs, by what it shows. */
  readonly #watches = new Map<string, Watch>();
  #needed: ReadonlySet<Watch> = new Set();
  readonly #lingering = new Lingering<Watch>(LINGER_MS, (watch) => this.#end(watch));
  /** Those that count at present. */
  #counting: ReadonlySet<Watch> = new Set();
  #isStopped = false;

  constructor(options: PodWatchesOptions) {
    this.#options = options;
    const fieldSelector = `spec.nodeName=${options.nodeName}`;
    const own = { path: ALL_PODS, query: { fieldSelector }, inPages: true };
    this.#own = options.follow(options.which === 'all' ? { path: ALL_PODS, query: {}, inPages: false } : own);
    this.#union = new PodUnion(options.nodeName, this.#own);
  }

  /** The node's own pods, or all. */
  get own(): Pick<ListWatch<ReadPod>, 'objects' | 'isSynced'> {
    return this.#own;
  }

  /** All pods that are known, by `namespace/name`. */
  get objects(): Pick<PodUnion, 'get'> {
    return this.#union;
  }

  /** Whether the node's own pods and those that are needed were listed at least once. */
  get isSynced(): boolean {
    return this.#own.isSynced && this.unlisted().length === 0;
  }

  /** Returns what is needed and was not listed yet; what the server does not permit never will be, and nobody need wait for it. */
  unlisted(): readonly object[] {
    return [...this.#needed].filter(({ watch }) => !watch.isSynced && watch.failure?.code !== 403);
  }

  /** The oldest of them. */
  get failure(): Failure | undefined {
    const failures = [this.#own, ...this.#neededWatches()].flatMap(({ failure }) => failure ?? []);
    return failures.toSorted((a, b) => a.since.getTime() - b.since.getTime())[0];
  }

  /** Returns the resourceVersion in which the pod of this key came to say what it says; '' where there is none. */
  changedIn(key: string): string {
    return this.#union.changedIn(key);
  }

  start(): void {
    this.#own.start();
  }

  /** From now on these are needed. */
  need(views: readonly PodView[]): void {
    const needed = views.map((view) => this.#watchOf(view));
    for (const watch of this.#needed) if (!needed.includes(watch)) this.#lingering.keep(watch);
    for (const watch of needed) this.#lingering.release(watch);
    this.#needed = new Set(needed);
  }

  /** Returns the keys of all pods that came, changed or went since the last call, and of others. */
  takeChanged(): ReadonlySet<string> {
    this.#count();
    return this.#union.takeChanged();
  }

  /** Resolves once `objects` hold all that is needed of what the server held when this was called. Rejects when stopped before that. */
  async relist(): Promise<void> {
    const permitted = this.#neededWatches().filter(({ failure }) => failure?.code !== 403);
    await Promise.all([this.#own.relist(), ...permitted.map(async (watch) => this.#relistNeeded(watch))]);
  }

  /** Takes a pod that was read by itself, if it is one of the node's own. */
  offer(pod: JsonObject): void {
    if (text(child(pod, 'spec'), 'nodeName') === this.#options.nodeName) this.#own.offer(pod);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#lingering.clear();
    await Promise.all([this.#own, ...[...this.#watches.values()].map(({ watch }) => watch)].map((one) => one.stop()));
  }

  #neededWatches(): readonly ListWatch<ReadPod>[] {
    return [...this.#needed].map(({ watch }) => watch);
  }

  #watchOf(view: PodView): Watch {
    const key = JSON.stringify([view.namespace, view.labelSelector]);
    const known = this.#watches.get(key);
    if (known !== undefined) return known;
    const watch = this.#options.follow(queryOf(view));
    const made = { namespace: view.namespace, isWhole: view.labelSelector === '', watch };
    this.#watches.set(key, made);
    watch.start();
    return made;
  }

  /** What was known must not be forgotten before what takes its place is there: until then all that counted still counts. */
  #count(): void {
    const isListed = [...this.#needed].every(({ watch }) => watch.isSynced);
    const counting = isListed ? this.#needed : this.#needed.union(this.#counting);
    if (counting.symmetricDifference(this.#counting).size > 0) {
      this.#counting = counting;
      this.#union.show(counting);
    }
    if (isListed) this.#lingering.endAllBut(MOST_LINGERING);
  }

  #end(watch: Watch): void {
    for (const [key, one] of this.#watches) if (one === watch) this.#watches.delete(key);
    if (this.#counting.has(watch)) {
      this.#counting = this.#counting.difference(new Set([watch]));
      this.#union.show(this.#counting);
      this.#options.onChange();
    }
    void watch.watch.stop();
  }

  /** What is needed no more by then need not be listed. */
  async #relistNeeded(watch: ListWatch<ReadPod>): Promise<void> {
    try {
      await watch.relist();
    } catch (error) {
      if (this.#isStopped) throw error;
    }
  }
}

/** A namespace's name comes from an object that was checked, but a path is no place to rely on that. */
function queryOf({ namespace, labelSelector }: PodView): PodQuery {
  const path = namespace === undefined ? ALL_PODS : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  return { path, query: labelSelector === '' ? {} : { labelSelector }, inPages: namespace !== undefined };
}
