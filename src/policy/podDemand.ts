import type { NetworkPolicy, PolicyRule } from '../kube/networkPolicy.ts';
import type { Pod } from '../kube/pod.ts';
import { scopeKey, scopeOf, type PodScope } from './groupDefinition.ts';
import { SelectionIndex } from './selectionIndex.ts';

/** Which pods of other nodes a node's rules depend on: those in any of the scopes, or all of the cluster. */
export type PodDemand = 'all' | readonly PodScope[];

/**
 * Returns which pods must be known besides the node's own, so that `compile` and the node's end of every verdict of `evaluate` are what they are
 * with all pods known. To a policy that names no pod by label, a pod is but an address.
 */
export function podDemand(policies: Iterable<NetworkPolicy>, localPods: Iterable<Pod>): PodDemand {
  const scopes = new Map<string, PodScope>();
  for (const policy of selecting(policies, localPods)) {
    if (policy.egress?.some(needsEveryPod)) return 'all';
    for (const [key, scope] of scopesOf(policy)) scopes.set(key, scope);
  }
  return [...scopes.values()];
}

/** Returns the policies that select any of the pods. */
function selecting(policies: Iterable<NetworkPolicy>, localPods: Iterable<Pod>): Iterable<NetworkPolicy> {
  const local = Map.groupBy(localPods, ({ namespace }) => namespace);
  const index = new Map([...local.keys()].map((name) => [name, new SelectionIndex<NetworkPolicy>()]));
  for (const policy of policies) index.get(policy.namespace)?.add({ pods: policy.podSelector, target: policy });
  const found = [...local].flatMap(([name, pods]) =>
    pods.flatMap(({ hostNetwork, labels }) => (hostNetwork ? [] : (index.get(name)?.targetsOf(labels) ?? []))),
  );
  return new Set(found);
}

/** A named port of an egress rule is each destination's own: where any pod, or any of a network, may be one, so may its ports. */
function needsEveryPod({ peers, ports }: PolicyRule): boolean {
  const namesPorts = ports !== 'any' && ports.some(({ kind }) => kind === 'named');
  return namesPorts && (peers === 'any' || peers.some(({ kind }) => kind === 'ipBlock'));
}

type KeyedScope = readonly [key: string, scope: PodScope];

// A cache only: keys take most of the time, and where one of many policies changes the others' are the same.
const known = new WeakMap<NetworkPolicy, readonly KeyedScope[]>();

function scopesOf(policy: NetworkPolicy): readonly KeyedScope[] {
  const seen = known.get(policy);
  if (seen !== undefined) return seen;
  const peers = [...(policy.ingress ?? []), ...(policy.egress ?? [])].flatMap((rule) =>
    rule.peers === 'any' ? [] : rule.peers,
  );
  const scopes = peers.flatMap((peer) => (peer.kind === 'pods' ? [scopeOf(peer, policy)] : []));
  const made = scopes.map((scope) => [scopeKey(scope), scope] as const);
  known.set(policy, made);
  return made;
}
