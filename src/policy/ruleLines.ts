import type { Direction, NetworkPolicy, Peer, PolicyPort, PolicyRule } from '../kube/networkPolicy.ts';
import { objectKey, type NamedPort } from '../kube/pod.ts';
import {
  addressGroup,
  addressPortGroup,
  networkGroup,
  scopeOf,
  type GroupDefinition,
  type PodScope,
} from './groupDefinition.ts';
import type { NetworkBlock, PortMatch } from './model.ts';

/** One peer of one rule of a policy, with the rule's ports. */
export interface RuleLine {
  readonly peer: LinePeer;
  readonly ports: readonly PortMatch[];
  /** `namespace/name`, sorted. */
  readonly policies: readonly string[];
}

/** Equal keys mean equal peers. */
export type LinePeer =
  | { readonly kind: 'any'; readonly key: string }
  | { readonly kind: 'block'; readonly key: string; readonly block: NetworkBlock }
  /** The group is that of this scope alone. */
  | { readonly kind: 'scope'; readonly key: string; readonly scope: PodScope; readonly group: GroupDefinition }
  | { readonly kind: 'group'; readonly key: string; readonly group: GroupDefinition };

/** Returns what a policy that isolates pods in this direction allows a pod that has these named ports. */
export function linesOf(
  policy: NetworkPolicy,
  { direction, namedPorts }: { readonly direction: Direction; readonly namedPorts: readonly NamedPort[] },
): readonly RuleLine[] {
  const policies = [objectKey(policy)];
  return (policy[direction] ?? []).flatMap((rule) => {
    const named = namedLines(rule, { policy, direction });
    const ports = numbersOf(rule.ports, direction === 'ingress' ? namedPorts : []);
    if (ports.length === 0) return named;
    return [...peersOf(rule, policy).map((peer) => ({ peer, ports, policies })), ...named];
  });
}

const ANY_PORT: readonly PortMatch[] = [{ kind: 'any' }];

/** Named ports of an ingress rule are the selected pod's own: here they become numbers, and one that the pod does not have allows nothing. */
function numbersOf(ports: PolicyRule['ports'], namedPorts: readonly NamedPort[]): readonly PortMatch[] {
  if (ports === 'any') return ANY_PORT;
  return ports.flatMap((port): readonly PortMatch[] => {
    if (port.kind !== 'named') return [numberedPorts(port)];
    return namedPorts
      .filter(({ name, protocol }) => name === port.name && protocol === port.protocol)
      .map(({ protocol, port: number }) => ({ kind: 'range', protocol, from: number, to: number }));
  });
}

function numberedPorts(port: Exclude<PolicyPort, { kind: 'named' }>): PortMatch {
  if (port.kind === 'protocol') return { kind: 'range', protocol: port.protocol, from: 0, to: 65_535 };
  return { kind: 'range', protocol: port.protocol, from: port.from, to: port.to };
}

/** Named ports of an egress rule are those of each pod it may talk to: a group of addresses and ports. An address that is no pod has none. */
function namedLines(
  { peers, ports }: PolicyRule,
  { policy, direction }: { readonly policy: NetworkPolicy; readonly direction: Direction },
): readonly RuleLine[] {
  if (direction === 'ingress' || ports === 'any') return [];
  const whose = peers === 'any' ? (['all'] as const) : peers.map((peer) => whoseOf(peer, policy));
  return ports.flatMap((port) => {
    if (port.kind !== 'named') return [];
    const inGroup: PortMatch = { kind: 'inGroup', protocol: port.protocol };
    return whose.map((of) => {
      const group = addressPortGroup(of, port);
      const peer: LinePeer = { kind: 'group', key: group.key, group };
      return { peer, ports: [inGroup], policies: [objectKey(policy)] };
    });
  });
}

function whoseOf(peer: Peer, policy: NetworkPolicy): PodScope | NetworkBlock {
  return peer.kind === 'pods' ? scopeOf(peer, policy) : peer;
}

// A cache only: keys take most of the time, and where one of many policies changes the others' are the same.
const known = new WeakMap<NetworkPolicy, Map<PolicyRule, readonly LinePeer[]>>();

function peersOf(rule: PolicyRule, policy: NetworkPolicy): readonly LinePeer[] {
  const ofPolicy = known.get(policy) ?? new Map<PolicyRule, readonly LinePeer[]>();
  known.set(policy, ofPolicy);
  const seen = ofPolicy.get(rule);
  if (seen !== undefined) return seen;
  const made: readonly LinePeer[] =
    rule.peers === 'any' ? [{ kind: 'any', key: 'any' }] : rule.peers.map((peer) => linePeer(peer, policy));
  ofPolicy.set(rule, made);
  return made;
}

function linePeer(peer: Peer, policy: NetworkPolicy): LinePeer {
  if (peer.kind === 'ipBlock') return { kind: 'block', key: networkGroup([peer]).key, block: peer };
  const scope = scopeOf(peer, policy);
  const group = addressGroup([scope]);
  return { kind: 'scope', key: group.key, scope, group };
}
