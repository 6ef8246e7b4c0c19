import { isFinished, namespaceOf, type Pod } from '../kube/pod.ts';

interface PodChange {
  readonly namespace: string;
  readonly before: Pod | undefined;
  readonly after: Pod | undefined;
}

/** The pods that can be peers, by namespace. */
export class PodIndex {
  readonly #byNamespace = new Map<string, Map<string, Pod>>();

  /** Returns the pods of one namespace. */
  in(namespace: string): Iterable<Pod> {
    return this.#byNamespace.get(namespace)?.values() ?? [];
  }

  /** Returns all pods. */
  *all(): Generator<Pod, void> {
    for (const pods of this.#byNamespace.values()) yield* pods.values();
  }

  /** Puts a pod, or with `undefined` nothing, under its key. Returns which of the pods was a peer before and which is one now. */
  set(key: string, pod: Pod | undefined): PodChange {
    const namespace = namespaceOf(key);
    const before = this.#byNamespace.get(namespace)?.get(key);
    // A hostNetwork pod has its node's address, a finished one's may be somebody else's by now.
    const after = pod === undefined || pod.hostNetwork || isFinished(pod) ? undefined : pod;
    if (after !== undefined) this.#pods(namespace).set(key, after);
    else this.#remove(namespace, key);
    return { namespace, before, after };
  }

  #pods(namespace: string): Map<string, Pod> {
    const known = this.#byNamespace.get(namespace);
    if (known !== undefined) return known;
    const pods = new Map<string, Pod>();
    this.#byNamespace.set(namespace, pods);
    return pods;
  }

  #remove(namespace: string, key: string): void {
    const pods = this.#byNamespace.get(namespace);
    if (pods?.delete(key) === true && pods.size === 0) this.#byNamespace.delete(namespace);
  }
}
