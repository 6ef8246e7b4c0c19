import type { Cluster } from '../kube/cluster.ts';
import type { LabelSelector } from '../kube/labelSelector.ts';
import { isFinished, type Pod } from '../kube/pod.ts';
import { selects } from './selector.ts';

/** Who a peer with selectors means: `namespaces` is one namespace by name or all that a selector selects. */
export interface PodScope {
  readonly namespaces: string | LabelSelector;
  readonly pods: LabelSelector;
}

/** The pods that can be peers, by namespace. */
export class PodIndex {
  readonly #cluster: Cluster;
  readonly #byNamespace = new Map<string, Pod[]>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    for (const pod of cluster.pods.values()) {
      // A hostNetwork pod has its node's address, a finished one's may be somebody else's by now.
      if (pod.hostNetwork || isFinished(pod)) continue;
      const pods = this.#byNamespace.get(pod.namespace);
      if (pods === undefined) this.#byNamespace.set(pod.namespace, [pod]);
      else pods.push(pod);
    }
  }

  /** Returns all pods that can be peers. */
  all(): readonly Pod[] {
    return [...this.#byNamespace.values()].flat();
  }

  /** Returns the pods in scope. A namespace that has no Namespace object is in no namespaceSelector's scope: nobody knows its labels. */
  select({ namespaces, pods }: PodScope): readonly Pod[] {
    return this.#namespacesOf(namespaces).flatMap((namespace) =>
      (this.#byNamespace.get(namespace) ?? []).filter((pod) => selects(pods, pod.labels)),
    );
  }

  #namespacesOf(namespaces: PodScope['namespaces']): readonly string[] {
    if (typeof namespaces === 'string') return [namespaces];
    return [...this.#cluster.namespaces.values()]
      .filter(({ labels }) => selects(namespaces, labels))
      .map(({ name }) => name);
  }
}
