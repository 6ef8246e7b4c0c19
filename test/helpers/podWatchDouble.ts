import { objectKey, type Pod } from '../../src/kube/pod.ts';
import type { ListWatch } from '../../src/source/api/listWatch.ts';
import type { ReadPod } from '../../src/source/api/podUnion.ts';
import { clusterOf, pod, type PodFacts } from './manifests.ts';

/** A watch of pods that shows what a test says. */
export class PodWatchDouble {
  readonly objects = new Map<string, Pod>();
  isSynced = false;
  isStopped = false;
  failure = undefined;
  /** It has told of everything up to this. */
  version = '100';
  readonly #versions = new Map<string, string>();
  #changed = new Set<string>();

  /** As what the product takes. */
  get watch(): ListWatch<ReadPod> {
    return this as unknown as ListWatch<ReadPod>;
  }

  /** Shows a pod that changed in a version. */
  put(key: string, version: string, facts: PodFacts = {}): Pod {
    const [made] = clusterOf([pod(key, { nodeName: 'node-2', ...facts })]).pods.values();
    if (made === undefined) throw new Error(`There is no pod ${key}`);
    this.objects.set(objectKey(made), made);
    this.#versions.set(key, version);
    return this.#note(key, version, made);
  }

  delete(key: string, version: string): void {
    this.objects.delete(key);
    this.#note(key, version, undefined);
  }

  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  changedIn(key: string): string {
    return this.#versions.get(key) ?? '';
  }

  start(): void {}

  async stop(): Promise<void> {
    this.isStopped = true;
    return Promise.resolve();
  }

  #note<T>(key: string, version: string, made: T): T {
    this.#changed.add(key);
    this.version = version;
    return made;
  }
}
