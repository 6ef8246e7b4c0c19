import type { Cluster } from '../kube/cluster.ts';
import type { Direction, NetworkPolicy, PolicyPort, PolicyRule } from '../kube/networkPolicy.ts';
import { objectKey, type Pod } from '../kube/pod.ts';
import type { Allow, Isolation, NodePolicy, PodPolicy, PortMatch } from './model.ts';
import { PeerGroups } from './peerGroups.ts';
import { selects } from './selector.ts';

/**
 * Returns what the cluster's policies mean for the pods of one node: for each of them and each direction whether it is isolated and what may
 * pass then, and the peer groups that this names, with their members.
 */
export function compile(cluster: Cluster, nodeName: string): NodePolicy {
  const groups = new PeerGroups(cluster);
  const policies = policiesByNamespace(cluster);
  const known = new Map<string, Isolation>();
  const pods = new Map<string, PodPolicy>();
  for (const [key, pod] of cluster.pods) {
    if (pod.nodeName !== nodeName || pod.hostNetwork) continue;
    const selecting = (policies.get(pod.namespace) ?? []).filter(({ podSelector }) => selects(podSelector, pod.labels));
    const context = { policies: selecting, groups, known };
    pods.set(key, {
      ingress: sharedIsolation(pod, 'ingress', context),
      egress: sharedIsolation(pod, 'egress', context),
    });
  }
  return { pods, peerGroups: groups.used() };
}

function policiesByNamespace({ policies }: Cluster): ReadonlyMap<string, readonly NetworkPolicy[]> {
  return Map.groupBy(policies.values(), ({ namespace }) => namespace);
}

interface Context {
  readonly policies: readonly NetworkPolicy[];
  readonly groups: PeerGroups;
}

/** Policies may have thousands of rules and pods hundreds of replicas: what is the same for several pods is one object, worked out once. */
function sharedIsolation(
  pod: Pod,
  direction: Direction,
  context: Context & { readonly known: Map<string, Isolation> },
): Isolation {
  // Of the pod itself nothing else counts.
  const ownPorts = direction === 'ingress' ? pod.namedPorts : [];
  const key = JSON.stringify([direction, context.policies.map(objectKey), ownPorts]);
  const found = context.known.get(key) ?? isolation(pod, direction, context);
  context.known.set(key, found);
  return found;
}

/** A pod is isolated for a direction as soon as one policy selects it for that direction; what they allow adds up. */
function isolation(pod: Pod, direction: Direction, { policies, groups }: Context): Isolation {
  const isolating = policies.filter((policy) => policy[direction] !== undefined);
  if (isolating.length === 0) return { kind: 'open' };
  const allows = isolating.flatMap((policy) =>
    (policy[direction] ?? []).flatMap((rule) =>
      direction === 'ingress' ? ingressAllows(rule, { pod, policy, groups }) : egressAllows(rule, { policy, groups }),
    ),
  );
  return { kind: 'isolated', allows };
}

interface RuleContext {
  readonly policy: NetworkPolicy;
  readonly groups: PeerGroups;
}

/** Named ports of an ingress rule are the selected pod's own: here they become numbers, and one that the pod does not have allows nothing. */
function ingressAllows(
  rule: PolicyRule,
  { pod, policy, groups }: RuleContext & { readonly pod: Pod },
): readonly Allow[] {
  const ports = rule.ports === 'any' ? [ANY_PORT] : rule.ports.flatMap((port) => ingressPorts(port, pod));
  if (ports.length === 0) return [];
  return groups
    .matches(rule.peers, policy)
    .flatMap((peers) => ports.map((port) => ({ peers, ports: port, policy: objectKey(policy) })));
}

function ingressPorts(port: PolicyPort, pod: Pod): readonly PortMatch[] {
  if (port.kind !== 'named') return [numberedPorts(port)];
  return pod.namedPorts
    .filter(({ name, protocol }) => name === port.name && protocol === port.protocol)
    .map(({ protocol, port: number }) => ({ kind: 'range', protocol, from: number, to: number }));
}

/** Named ports of an egress rule are those of each pod it may talk to: a group of addresses and ports. An address that is no pod has none. */
function egressAllows(rule: PolicyRule, { policy, groups }: RuleContext): readonly Allow[] {
  const from = { policy: objectKey(policy) };
  if (rule.ports === 'any')
    return groups.matches(rule.peers, policy).map((peers) => ({ peers, ports: ANY_PORT, ...from }));
  return rule.ports.flatMap((port): readonly Allow[] => {
    if (port.kind !== 'named')
      return groups.matches(rule.peers, policy).map((peers) => ({ peers, ports: numberedPorts(port), ...from }));
    return groups
      .namedPortMatches(rule.peers, { policy, port })
      .map((peers) => ({ peers, ports: { kind: 'inGroup', protocol: port.protocol }, ...from }));
  });
}

const ANY_PORT: PortMatch = { kind: 'any' };

function numberedPorts(port: Exclude<PolicyPort, { kind: 'named' }>): PortMatch {
  if (port.kind === 'protocol') return { kind: 'range', protocol: port.protocol, from: 0, to: 65_535 };
  return { kind: 'range', protocol: port.protocol, from: port.from, to: port.to };
}
