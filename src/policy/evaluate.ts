import type { Cluster } from '../kube/cluster.ts';
import type { Direction, NetworkPolicy } from '../kube/networkPolicy.ts';
import { objectKey, type Pod } from '../kube/pod.ts';
import { partiesOf, type Flow, type Party } from './flow.ts';
import { peerMismatch, portMismatch, selectorMismatch, type PeerMismatch, type PortMismatch } from './mismatch.ts';

/** The answer to one flow: both ends must allow it. */
export interface Verdict {
  readonly allowed: boolean;
  readonly egress: SideVerdict;
  readonly ingress: SideVerdict;
}

/**
 * What one end says. It refuses only as `refused`, where `by` names every policy that isolates the pod, with the rule that came nearest. `audited` is what
 * it would refuse if the policies in audit mode were not; `by` names these.
 * `allowed` names every rule that lets the flow pass, so that one can see what happens when a policy goes.
 */
export type SideVerdict =
  | { readonly kind: 'notAPod' | 'itself' | 'ownNode' | 'notIsolated' }
  | { readonly kind: 'allowed'; readonly by: readonly AllowingRule[] }
  | { readonly kind: 'refused' | 'audited'; readonly by: readonly RefusingPolicy[] };

/** Indexes count from 0 in the policy's `ingress` or `egress`, `from` or `to`, and `ports`; `undefined` where the rule has no such list. */
export interface AllowingRule {
  readonly policy: string;
  readonly rule: number;
  readonly peer: number | undefined;
  readonly port: number | undefined;
}

export interface RefusingPolicy {
  readonly policy: string;
  /** `undefined` if the policy has no rule for this direction. */
  readonly nearest: RuleOutcome | undefined;
}

/** How a rule and a flow compare. The rule matches if neither half has a mismatch. */
export interface RuleOutcome {
  readonly rule: number;
  readonly peer: ItemOutcome<PeerMismatch>;
  readonly port: ItemOutcome<PortMismatch>;
}

/** Of a list of peers or ports the item that matches or comes nearest. */
export interface ItemOutcome<Mismatch> {
  readonly index: number | undefined;
  readonly mismatch: Mismatch | undefined;
}

/**
 * Judges one flow by the objects alone. This is what NetworkPolicy means, told to people and used as the measure of the kernel's rules:
 * nothing here is shared with what compiles them. The quotations are of networking.k8s.io/v1, types.go.
 *
 * Throws an `Error` if an endpoint names a pod that the cluster does not have.
 */
export function evaluate(cluster: Cluster, flow: Flow): Verdict {
  const { from, to } = partiesOf(cluster, flow);
  const egress = judge(cluster, { direction: 'egress', self: from, peer: to, destination: to, flow });
  const ingress = judge(cluster, { direction: 'ingress', self: to, peer: from, destination: to, flow });
  return { allowed: egress.kind !== 'refused' && ingress.kind !== 'refused', egress, ingress };
}

/** A flow seen from one of its ends. */
interface Side {
  readonly direction: Direction;
  readonly self: Party;
  readonly peer: Party;
  readonly destination: Party;
  readonly flow: Flow;
}

function judge(cluster: Cluster, side: Side): SideVerdict {
  const { self, peer } = side;
  if (self.kind !== 'pod') return { kind: 'notAPod' };
  // "a pod cannot block access to itself" (concepts, Network Policies)
  if (peer.kind === 'pod' && objectKey(peer.pod) === objectKey(self.pod)) return { kind: 'itself' };
  // "traffic to and from the node where a Pod is running is always allowed, regardless of the IP address of the Pod or the node" (ibidem)
  if (peer.kind === 'node' && peer.nodeName !== undefined && peer.nodeName === self.pod.nodeName)
    return { kind: 'ownNode' };
  const policies = [...cluster.policies.values()].filter((policy) => isolates(policy, self.pod, side.direction));
  // "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod"
  return policies.length === 0 ? { kind: 'notIsolated' } : judgeByPolicies(cluster, side, policies);
}

// "An empty selector matches all pods in the policy's namespace."
function isolates(policy: NetworkPolicy, pod: Pod, direction: Direction): boolean {
  return (
    policy[direction] !== undefined &&
    policy.namespace === pod.namespace &&
    selectorMismatch(policy.podSelector, pod.labels) === undefined
  );
}

// "… OR if the traffic matches at least one ingress rule across all of the NetworkPolicy objects whose podSelector matches the pod."
function judgeByPolicies(cluster: Cluster, side: Side, policies: readonly NetworkPolicy[]): SideVerdict {
  const outcomes = policies.map((policy) => ({
    policy: objectKey(policy),
    audited: isAudited(cluster, policy),
    rules: ruleOutcomes(cluster, side, policy),
  }));
  const allowing = outcomes.flatMap(({ policy, rules }) =>
    rules.filter(matches).map(({ rule, peer, port }) => ({ policy, rule, peer: peer.index, port: port.index })),
  );
  if (allowing.length > 0) return { kind: 'allowed', by: allowing };
  // A policy in audit mode allows, and isolates nothing: what only such ones refuse is let pass.
  const isolating = outcomes.filter(({ audited }) => !audited);
  return {
    kind: isolating.length === 0 ? 'audited' : 'refused',
    by: (isolating.length === 0 ? outcomes : isolating).map(({ policy, rules }) => ({
      policy,
      nearest: nearest(rules, ({ peer, port }) => distance(peer.mismatch) + distance(port.mismatch)),
    })),
  };
}

function isAudited({ namespaces }: Cluster, { audit, namespace }: NetworkPolicy): boolean {
  return audit === true || namespaces.get(namespace)?.audit === true;
}

function matches({ peer, port }: RuleOutcome): boolean {
  return peer.mismatch === undefined && port.mismatch === undefined;
}

// "The traffic must match both ports and from." "Items in this list are combined using a logical OR operation."
function ruleOutcomes(cluster: Cluster, side: Side, policy: NetworkPolicy): readonly RuleOutcome[] {
  const question = { party: side.peer, policyNamespace: policy.namespace, namespaces: cluster.namespaces };
  return (policy[side.direction] ?? []).map(({ peers, ports }, rule) => ({
    rule,
    peer: itemOutcome(peers, (peer) => peerMismatch(peer, question)),
    port: itemOutcome(ports, (port) => portMismatch(port, side)),
  }));
}

// "If this field is empty or missing, this rule matches all sources": such a list comes as `any`.
function itemOutcome<Item, Mismatch extends PeerMismatch | PortMismatch>(
  items: 'any' | readonly Item[],
  mismatchOf: (item: Item) => Mismatch | undefined,
): ItemOutcome<Mismatch> {
  const outcomes = items === 'any' ? [] : items.map((item, index) => ({ index, mismatch: mismatchOf(item) }));
  const matching = outcomes.find(({ mismatch }) => mismatch === undefined);
  return (
    matching ?? nearest(outcomes, ({ mismatch }) => distance(mismatch)) ?? { index: undefined, mismatch: undefined }
  );
}

// How much would have to change for a peer or port to match; it decides only which of several near misses is shown.
const DISTANCE: Readonly<Record<PeerMismatch['kind'] | PortMismatch['kind'], number>> = {
  number: 1,
  named: 1,
  protocol: 4,
  podLabel: 1,
  except: 1,
  namespaceLabel: 2,
  otherNamespace: 2,
  unknownNamespace: 2,
  outsideBlock: 3,
  notAPod: 3,
};

function distance(mismatch: PeerMismatch | PortMismatch | undefined): number {
  return mismatch === undefined ? 0 : DISTANCE[mismatch.kind];
}

/** Returns the first of the items for which the measure is least. */
function nearest<Item>(items: readonly Item[], measure: (item: Item) => number): Item | undefined {
  return items.toSorted((a, b) => measure(a) - measure(b))[0];
}
