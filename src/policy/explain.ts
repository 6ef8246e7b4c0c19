import type { Cluster } from '../kube/cluster.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import { isFinished, objectKey } from '../kube/pod.ts';
import type { Protocol } from '../net/protocol.ts';
import { evaluate, type AllowingRule, type RefusingPolicy, type RuleOutcome, type SideVerdict } from './evaluate.ts';
import { partiesOf, type Endpoint, type Flow, type Party } from './flow.ts';
import { selectorMismatch, type PeerMismatch, type PortMismatch } from './mismatch.ts';
import { peerMismatches, portMismatches } from './unmet.ts';

/** Why a flow is allowed or not. Plain data, fit for JSON. */
export interface Explanation {
  readonly allowed: boolean;
  readonly from: End;
  readonly to: End;
  readonly protocol: Protocol;
  readonly port: number;
  readonly egress: SideReason;
  readonly ingress: SideReason;
}

/**
 * Who an end is for policies. A `node` is a node's own address, which its hostNetwork pods share; `outside` is everything else, among it the address
 * of a pod that has ended.
 */
export interface End {
  readonly kind: Party['kind'];
  /** The pod by its key: who has the address now, or the hostNetwork pod that was asked for. */
  readonly pod: string | undefined;
  readonly nodeName: string | undefined;
  readonly address: string | undefined;
  /** The pod that was asked for, if it has ended for good; its address may be another's by now. */
  readonly finished: string | undefined;
}

/** What one end of the flow says, with the places in the policies; see `SideVerdict`. */
export type SideReason =
  | { readonly kind: 'notAPod' | 'itself' | 'ownNode' }
  /** `otherDirection`: policies that select the pod, but not for this direction. */
  | { readonly kind: 'notIsolated'; readonly otherDirection: readonly string[] }
  | { readonly kind: 'allowed'; readonly by: readonly RulePlace[] }
  /** In the order of how near they came. `audited`: all of them are in audit mode, and the flow passes. */
  | { readonly kind: 'refused' | 'audited'; readonly by: readonly Refusal[] };

/** A rule of a policy with those elements of its lists that are meant; indexes as in `AllowingRule`. */
export interface RulePlace extends AllowingRule {
  /** E.g. `spec.ingress[1].from[0]`, or `spec.ingress[1]` for a rule that names no peers. */
  readonly peerPath: string;
  /** E.g. `spec.ingress[1].ports[0]`; `undefined` for a rule that names no ports. */
  readonly portPath: string | undefined;
}

export interface Refusal {
  readonly policy: string;
  /** The rule that would need the least to allow the flow, and all of that; `undefined` if the policy has no rule for the direction. */
  readonly nearest: (RulePlace & { readonly unmet: readonly Unmet[] }) | undefined;
}

export type Unmet = PeerMismatch | PortMismatch;

/** Judges a flow by `evaluate` and says why. Throws an `Error` if an endpoint names a pod that the cluster does not have. */
export function explain(cluster: Cluster, flow: Flow): Explanation {
  const { allowed, egress, ingress } = evaluate(cluster, flow);
  const { from, to } = partiesOf(cluster, flow);
  const question = { cluster, flow, destination: to };
  return {
    allowed,
    from: endOf(cluster, { endpoint: flow.from, party: from }),
    to: endOf(cluster, { endpoint: flow.to, party: to }),
    protocol: flow.protocol,
    port: flow.port,
    egress: reasonOf(egress, { ...question, direction: 'egress', self: from, peer: to }),
    ingress: reasonOf(ingress, { ...question, direction: 'ingress', self: to, peer: from }),
  };
}

function endOf(cluster: Cluster, { endpoint, party }: { readonly endpoint: Endpoint; readonly party: Party }): End {
  const asked = endpoint.kind === 'pod' ? cluster.pods.get(`${endpoint.namespace}/${endpoint.name}`) : undefined;
  const hasEnded = asked !== undefined && isFinished(asked);
  const pod = party.kind === 'pod' ? party.pod : hasEnded ? undefined : asked;
  return {
    kind: party.kind,
    pod: pod && objectKey(pod),
    nodeName: party.kind === 'node' ? party.nodeName : undefined,
    address: party.address,
    finished: hasEnded ? objectKey(asked) : undefined,
  };
}

interface Question {
  readonly cluster: Cluster;
  readonly flow: Flow;
  readonly destination: Party;
  readonly direction: Direction;
  readonly self: Party;
  readonly peer: Party;
}

function reasonOf(verdict: SideVerdict, question: Question): SideReason {
  switch (verdict.kind) {
    case 'notAPod':
    case 'itself':
    case 'ownNode':
      return { kind: verdict.kind };
    case 'notIsolated':
      return { kind: 'notIsolated', otherDirection: selectingPolicies(question) };
    case 'allowed':
      return { kind: 'allowed', by: verdict.by.map((rule) => placeOf(rule, question)) };
    case 'refused':
    case 'audited': {
      const by = verdict.by.map((refusing) => refusalOf(refusing, question));
      return { kind: verdict.kind, by: by.toSorted((a, b) => lackOf(a) - lackOf(b)) };
    }
  }
}

function selectingPolicies({ cluster, self }: Question): readonly string[] {
  if (self.kind !== 'pod') return [];
  const { pod } = self;
  return [...cluster.policies.values()]
    .filter(({ namespace, podSelector }) => namespace === pod.namespace && !selectorMismatch(podSelector, pod.labels))
    .map(objectKey);
}

function placeOf(rule: AllowingRule, { direction }: Pick<Question, 'direction'>): RulePlace {
  const path = `spec.${direction}[${rule.rule}]`;
  const peers = direction === 'ingress' ? 'from' : 'to';
  return {
    ...rule,
    peerPath: rule.peer === undefined ? path : `${path}.${peers}[${rule.peer}]`,
    portPath: rule.port === undefined ? undefined : `${path}.ports[${rule.port}]`,
  };
}

function refusalOf({ policy, nearest }: RefusingPolicy, question: Question): Refusal {
  if (nearest === undefined) return { policy, nearest };
  const place = { policy, rule: nearest.rule, peer: nearest.peer.index, port: nearest.port.index };
  return { policy, nearest: { ...placeOf(place, question), unmet: unmetOf(policy, nearest, question) } };
}

function unmetOf(key: string, { rule, peer, port }: RuleOutcome, question: Question): readonly Unmet[] {
  const { cluster, direction } = question;
  const policy = cluster.policies.get(key);
  const found = policy?.[direction]?.[rule];
  if (policy === undefined || found === undefined) return [];
  const about = { party: question.peer, policyNamespace: policy.namespace, namespaces: cluster.namespaces };
  return [
    ...itemsAt(found.peers, peer.index).flatMap((item) => peerMismatches(item, about)),
    ...itemsAt(found.ports, port.index).flatMap((item) => portMismatches(item, question)),
  ];
}

function itemsAt<Item>(items: 'any' | readonly Item[], index: number | undefined): readonly Item[] {
  return items === 'any' || index === undefined ? [] : items.slice(index, index + 1);
}

function lackOf({ nearest }: Refusal): number {
  return nearest === undefined ? Number.POSITIVE_INFINITY : nearest.unmet.length;
}
