import { namespaceOf, type Pod } from '../../kube/pod.ts';
import { isNewer } from './apiObject.ts';
import type { ListWatch } from './listWatch.ts';
import type { Unusable } from './readObject.ts';

export type ReadPod = Pod | Unusable<Pod>;

/** A watch of pods, and what it shows. */
export interface PodsInView {
  /** Of one namespace; `undefined`: of all. */
  readonly namespace: string | undefined;
  /** Whether it shows every pod of the namespace or, else, those that a selector selects. */
  readonly isWhole: boolean;
  readonly watch: Pick<ListWatch<ReadPod>, 'objects' | 'takeChanged' | 'changedIn' | 'version'>;
}

/**
 * The pods that any of several watches shows, each once. Watches are told of a change one by one: where they differ, the newer resourceVersion
 * counts. A pod that no watch shows is gone, and so is one that a watch of all pods of its namespace shows no more.
 */
export class PodUnion {
  readonly #nodeName: string;
  readonly #local: PodsInView;
  #shown: ReadonlySet<PodsInView>;
  #byNamespace: ReadonlyMap<string | undefined, readonly PodsInView[]> = new Map();
  /** Keys under which other watches show something since they count. */
  readonly #stale = new Set<string>();

  /** `local` shows the node's own pods: of these no other watch has a say. A pod that is held back must not come in by another door. */
  constructor(nodeName: string, local: PodsInView['watch']) {
    this.#nodeName = nodeName;
    this.#local = { namespace: undefined, isWhole: false, watch: local };
    this.#shown = new Set();
    this.show([]);
  }

  /** From now on these count, beside the watch of the node's own pods. */
  show(views: Iterable<PodsInView>): void {
    const before = this.#shown;
    this.#shown = new Set([this.#local, ...views]);
    this.#byNamespace = Map.groupBy(this.#shown, ({ namespace }) => namespace);
    for (const { watch } of before.symmetricDifference(this.#shown))
      for (const key of watch.objects.keys()) this.#stale.add(key);
  }

  /** Returns the keys of all pods that came, changed or went since the last call, and of others. */
  takeChanged(): ReadonlySet<string> {
    const keys = new Set(this.#stale);
    this.#stale.clear();
    for (const { watch } of this.#shown) for (const key of watch.takeChanged()) keys.add(key);
    return keys;
  }

  /** Returns the pod of this key. */
  get(key: string): ReadPod | undefined {
    return this.#find(key).pod;
  }

  /** Returns the resourceVersion in which the pod of this key came to say what it says; '' where there is none. */
  changedIn(key: string): string {
    return this.#find(key).version;
  }

  #find(key: string): { readonly pod: ReadPod | undefined; readonly version: string } {
    const candidates = this.#candidates(key);
    let found = NOBODY;
    for (const view of candidates) {
      const pod = view.watch.objects.get(key);
      if (pod === undefined || (view !== this.#local && this.#isLocal(pod))) continue;
      const version = view.watch.changedIn(key);
      if (found.pod === undefined || isNewer(version, found.version)) found = { pod, version };
    }
    const isOver = found.pod !== undefined && candidates.some((view) => knowsOfItsEnd(view, key, found.version));
    return isOver ? NOBODY : found;
  }

  #candidates(key: string): readonly PodsInView[] {
    const everywhere = this.#byNamespace.get(undefined) ?? [];
    const here = this.#byNamespace.get(namespaceOf(key));
    return here === undefined ? everywhere : [...everywhere, ...here];
  }

  #isLocal(pod: ReadPod): boolean {
    return pod.kind === 'Pod' && pod.nodeName === this.#nodeName;
  }
}

const NOBODY: { readonly pod: ReadPod | undefined; readonly version: string } = { pod: undefined, version: '' };

/** A pod that leaves a selector's view may live on; one that leaves its namespace's does not. Who is behind has not seen it yet. */
function knowsOfItsEnd({ isWhole, watch }: PodsInView, key: string, version: string): boolean {
  return isWhole && !watch.objects.has(key) && watch.version !== undefined && isNewer(watch.version, version);
}
