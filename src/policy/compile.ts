import { changesBetween, NO_OBJECTS, type Cluster, type ClusterChanges } from '../kube/cluster.ts';
import type { Direction, NetworkPolicy } from '../kube/networkPolicy.ts';
import { namespaceOf, type Pod } from '../kube/pod.ts';
import { Isolations, type HeldIsolation } from './isolations.ts';
import type { NodePolicy, PodPolicy } from './model.ts';
import { PeerGroups } from './peerGroups.ts';
import { PolicyIndex } from './policyIndex.ts';
import { selects } from './selector.ts';

/**
 * Returns what the cluster's policies mean for the pods of one node: for each of them and each direction whether it is isolated and what may
 * pass then, and the peer groups that this names, with their members.
 */
export function compile(cluster: Cluster, nodeName: string): NodePolicy {
  return new Compilation(nodeName).update(cluster, changesBetween(NO_OBJECTS, cluster));
}

interface LocalPod {
  readonly pod: Pod;
  /** The policies that select it, by key. */
  readonly selecting: Map<string, NetworkPolicy>;
}

/** What `compile` returns, kept up to date: a change costs what it concerns, however much else there is. */
export class Compilation {
  readonly #nodeName: string;
  readonly #groups = new PeerGroups();
  readonly #isolations = new Isolations(this.#groups);
  readonly #policies = new PolicyIndex();
  /** The node's own pods, in each namespace by key. */
  readonly #local = new Map<string, Map<string, LocalPod>>();
  readonly #held = new Map<string, Readonly<Record<Direction, HeldIsolation>>>();
  /** The namespaces in audit mode. */
  readonly #audited = new Set<string>();
  #policy: NodePolicy = { pods: new Map(), peerGroups: new Map() };

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /**
   * Takes over what has changed in a cluster. Returns what the cluster means now: the same object as before where that is the same, and in another
   * one the same objects for all that is.
   */
  update(cluster: Cluster, changes: ClusterChanges): NodePolicy {
    for (const name of changes.namespaces) this.#groups.setNamespace(name, cluster.namespaces.get(name)?.labels);
    const doubtful = new Set([
      ...[...changes.namespaces].flatMap((name) => this.#takeMode(name, cluster.namespaces.get(name)?.audit === true)),
      ...[...changes.policies].flatMap((key) => this.#takePolicy(key, cluster.policies.get(key))),
      ...[...changes.pods].filter((key) => this.#takeLocal(key, cluster.pods.get(key))),
    ]);
    const before = [...doubtful].flatMap((key) => this.#held.get(key) ?? []);
    const judged = new Map([...doubtful].map((key) => [key, this.#judge(key)]));
    // After the new ones are held: what one pod had and another has now stays.
    for (const { ingress, egress } of before) for (const held of [ingress, egress]) this.#isolations.release(held);
    // After the groups are there: who comes first is looked for by nobody, and finds its groups itself.
    for (const key of changes.pods) this.#groups.setPod(key, cluster.pods.get(key));
    const peerGroups = this.#groups.state();
    const pods = withEntries(this.#policy.pods, judged);
    if (pods !== this.#policy.pods || peerGroups !== this.#policy.peerGroups) this.#policy = { pods, peerGroups };
    return this.#policy;
  }

  /** Returns the keys of the local pods in a namespace whose policies are in another mode than before. */
  #takeMode(namespace: string, isAudited: boolean): readonly string[] {
    if (isAudited === this.#audited.has(namespace)) return [];
    if (isAudited) this.#audited.add(namespace);
    else this.#audited.delete(namespace);
    return [...(this.#local.get(namespace)?.keys() ?? [])];
  }

  /** Returns the keys of the local pods that it selects now or did before. */
  #takePolicy(key: string, policy: NetworkPolicy | undefined): readonly string[] {
    this.#policies.set(key, policy);
    return [...(this.#local.get(namespaceOf(key)) ?? [])].flatMap(([podKey, { pod, selecting }]) => {
      const wasSelected = selecting.delete(key);
      const isSelected = policy !== undefined && selects(policy.podSelector, pod.labels);
      if (isSelected) selecting.set(key, policy);
      return wasSelected || isSelected ? [podKey] : [];
    });
  }

  /** Tells whether the pod is or was a local one. */
  #takeLocal(key: string, pod: Pod | undefined): boolean {
    const namespace = namespaceOf(key);
    const known = this.#local.get(namespace);
    if (pod?.nodeName === this.#nodeName && !pod.hostNetwork) {
      const local = { pod, selecting: this.#policies.selecting(namespace, pod.labels) };
      if (known === undefined) this.#local.set(namespace, new Map([[key, local]]));
      else known.set(key, local);
      return true;
    }
    const wasLocal = known?.delete(key) === true;
    if (known?.size === 0) this.#local.delete(namespace);
    return wasLocal;
  }

  /** Returns what a local pod's policies mean now; `undefined` if there is no such pod any more. */
  #judge(key: string): PodPolicy | undefined {
    const local = this.#local.get(namespaceOf(key))?.get(key);
    const before = this.#held.get(key);
    const now = local && this.#hold(local);
    if (now === undefined) this.#held.delete(key);
    else this.#held.set(key, now);
    if (now === undefined) return undefined;
    const isSame =
      before?.ingress.isolation === now.ingress.isolation && before.egress.isolation === now.egress.isolation;
    const known = isSame ? this.#policy.pods.get(key) : undefined;
    return known ?? { ingress: now.ingress.isolation, egress: now.egress.isolation };
  }

  #hold({ pod: { namespace, namedPorts }, selecting }: LocalPod): Readonly<Record<Direction, HeldIsolation>> {
    const selected = {
      policies: [...selecting.values()],
      namedPorts,
      isNamespaceAudited: this.#audited.has(namespace),
    };
    return {
      ingress: this.#isolations.hold('ingress', selected),
      egress: this.#isolations.hold('egress', selected),
    };
  }
}

/** Returns the map itself if the entries, `undefined` for none, say nothing new. */
function withEntries<T>(
  map: ReadonlyMap<string, T>,
  entries: ReadonlyMap<string, T | undefined>,
): ReadonlyMap<string, T> {
  if (entries.entries().every(([key, value]) => map.get(key) === value)) return map;
  const changed = new Map(map);
  for (const [key, value] of entries) {
    if (value === undefined) changed.delete(key);
    else changed.set(key, value);
  }
  return changed;
}
