import type { NetworkPolicy, PolicyRule } from '../kube/networkPolicy.ts';
import type { Pod } from '../kube/pod.ts';
import { scopeKey, scopeOf, type PodScope } from './groupDefinition.ts';
import { selects } from './selector.ts';

/** Which pods of other nodes a node's rules depend on: those in any of the scopes, or all of the cluster. */
export type PodDemand = 'all' | readonly PodScope[];

/**
 * Returns which pods must be known besides the node's own, so that `compile` and the node's end of every verdict of `evaluate` are what they are
 * with all pods known. To a policy that names no pod by label, a pod is but an address.
 */
export function podDemand(policies: Iterable<NetworkPolicy>, localPods: Iterable<Pod>): PodDemand {
  const local = Map.groupBy(localPods, ({ namespace }) => namespace);
  const scopes = new Map<string, PodScope>();
  for (const policy of policies) {
    const pods = local.get(policy.namespace) ?? [];
    if (!pods.some(({ hostNetwork, labels }) => !hostNetwork && selects(policy.podSelector, labels))) continue;
    if (policy.egress?.some(needsEveryPod)) return 'all';
    for (const scope of scopesOf(policy)) scopes.set(scopeKey(scope), scope);
  }
  return [...scopes.values()];
}

/** A named port of an egress rule is each destination's own: where any pod, or any of a network, may be one, so may its ports. */
function needsEveryPod({ peers, ports }: PolicyRule): boolean {
  const namesPorts = ports !== 'any' && ports.some(({ kind }) => kind === 'named');
  return namesPorts && (peers === 'any' || peers.some(({ kind }) => kind === 'ipBlock'));
}

function scopesOf(policy: NetworkPolicy): readonly PodScope[] {
  const peers = [...(policy.ingress ?? []), ...(policy.egress ?? [])].flatMap((rule) =>
    rule.peers === 'any' ? [] : rule.peers,
  );
  return peers.flatMap((peer) => (peer.kind === 'pods' ? [scopeOf(peer, policy)] : []));
}
