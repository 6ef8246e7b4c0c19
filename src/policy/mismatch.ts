import { cidrContains, type Cidr } from '../net/cidr.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Labels } from '../kube/labels.ts';
import type { LabelSelector, LabelSelectorRequirement } from '../kube/labelSelector.ts';
import type { Namespace } from '../kube/namespace.ts';
import type { Peer, PolicyPort } from '../kube/networkPolicy.ts';
import type { Flow, Party } from './flow.ts';

/** The first requirement of a selector that labels do not meet; an entry of `matchLabels` shows as `In` with one value. */
export interface LabelMismatch {
  readonly requirement: LabelSelectorRequirement;
  /** The value found under the requirement's key. */
  readonly actual: string | undefined;
}

/** Why a peer of a rule is not the other end of a flow. */
export type PeerMismatch =
  | { readonly kind: 'notAPod' }
  | { readonly kind: 'otherNamespace'; readonly wanted: string }
  /** The cluster has no Namespace object under the pod's namespace, so that there are no labels to select by. */
  | { readonly kind: 'unknownNamespace' }
  | { readonly kind: 'namespaceLabel'; readonly label: LabelMismatch }
  | { readonly kind: 'podLabel'; readonly label: LabelMismatch }
  | { readonly kind: 'outsideBlock'; readonly cidr: Cidr }
  | { readonly kind: 'except'; readonly cidr: Cidr };

/** Why a port of a rule is not a flow's port. `numbers` is what the destination has under the name, nothing if it has no such port. */
export type PortMismatch =
  | { readonly kind: 'protocol'; readonly wanted: Protocol }
  | { readonly kind: 'number'; readonly from: number; readonly to: number }
  | { readonly kind: 'named'; readonly name: string; readonly numbers: readonly number[] };

type PodsPeer = Extract<Peer, { kind: 'pods' }>;
type IpBlock = Extract<Peer, { kind: 'ipBlock' }>;

/** What a peer of a policy is compared with: the other end of the flow, seen from the policy's own namespace. */
export interface PeerQuestion {
  readonly party: Party;
  readonly policyNamespace: string;
  readonly namespaces: ReadonlyMap<string, Namespace>;
}

/** Returns why a NetworkPolicyPeer does not mean the other end of the flow, or `undefined` if it does. */
export function peerMismatch(peer: Peer, question: PeerQuestion): PeerMismatch | undefined {
  return peer.kind === 'ipBlock' ? blockMismatch(peer, question.party.address) : podsMismatch(peer, question);
}

// "podSelector … selects the pods matching podSelector in the Namespaces selected by NamespaceSelector. Otherwise it selects the pods
// matching podSelector in the policy's own namespace."
function podsMismatch(peer: PodsPeer, question: PeerQuestion): PeerMismatch | undefined {
  const { party } = question;
  if (party.kind !== 'pod') return { kind: 'notAPod' };
  const namespace = namespaceMismatch(peer.namespaceSelector, { ...question, namespace: party.pod.namespace });
  if (namespace !== undefined) return namespace;
  // "If podSelector is [not] set … it selects all pods in the namespaces selected by namespaceSelector."
  const label = peer.podSelector && selectorMismatch(peer.podSelector, party.pod.labels);
  return label && { kind: 'podLabel', label };
}

// "namespaceSelector selects namespaces using cluster-scoped labels … if present but empty, it selects all namespaces."
function namespaceMismatch(
  selector: LabelSelector | undefined,
  { namespace, policyNamespace, namespaces }: PeerQuestion & { readonly namespace: string },
): PeerMismatch | undefined {
  if (selector === undefined)
    return namespace === policyNamespace ? undefined : { kind: 'otherNamespace', wanted: policyNamespace };
  const found = namespaces.get(namespace);
  if (found === undefined) return { kind: 'unknownNamespace' };
  const label = selectorMismatch(selector, found.labels);
  return label && { kind: 'namespaceLabel', label };
}

// "The except entry describes CIDRs that should not be included within this rule": within this block; another peer may still include them.
function blockMismatch({ cidr, except }: IpBlock, address: string | undefined): PeerMismatch | undefined {
  if (address === undefined || !cidrContains(cidr, address)) return { kind: 'outsideBlock', cidr };
  const cut = except.find((candidate) => cidrContains(candidate, address));
  return cut && { kind: 'except', cidr: cut };
}

/** Returns why a NetworkPolicyPort does not mean the flow's port at its destination, or `undefined` if it does. */
export function portMismatch(
  port: PolicyPort,
  { flow, destination }: { readonly flow: Flow; readonly destination: Party },
): PortMismatch | undefined {
  // "If present, only traffic on the specified protocol AND port will be matched."
  if (port.protocol !== flow.protocol) return { kind: 'protocol', wanted: port.protocol };
  switch (port.kind) {
    // "If this field is not provided, this matches all port names and numbers."
    case 'protocol':
      return undefined;
    // "the range of ports from port to endPort if set, inclusive"
    case 'range':
      return flow.port >= port.from && flow.port <= port.to
        ? undefined
        : { kind: 'number', from: port.from, to: port.to };
    // "a numerical or named port on a pod": on the pod that is connected to, in either direction. What is not a pod has no names.
    case 'named': {
      const numbers = destination.kind === 'pod' ? numbersOf(destination, port) : [];
      return numbers.includes(flow.port) ? undefined : { kind: 'named', name: port.name, numbers };
    }
  }
}

function numbersOf(
  { pod }: Extract<Party, { kind: 'pod' }>,
  { name, protocol }: Extract<PolicyPort, { kind: 'named' }>,
): readonly number[] {
  return pod.namedPorts.filter((port) => port.name === name && port.protocol === protocol).map((port) => port.port);
}

/** Returns the first requirement of a selector that the labels do not meet, or `undefined` if they meet all of them. */
export function selectorMismatch(selector: LabelSelector, labels: Labels): LabelMismatch | undefined {
  const requirement = requirementsOf(selector).find((candidate) => !isMet(candidate, labels.get(candidate.key)));
  return requirement && { requirement, actual: labels.get(requirement.key) };
}

// "A single {key,value} in the matchLabels map is equivalent to an element of matchExpressions, whose key field is "key", the operator is
// "In", and the values array contains only "value". The requirements are ANDed."
function requirementsOf({ matchLabels, matchExpressions }: LabelSelector): readonly LabelSelectorRequirement[] {
  return [
    ...[...matchLabels].map(([key, value]) => ({ operator: 'In', key, values: [value] }) as const),
    ...matchExpressions,
  ];
}

function isMet(requirement: LabelSelectorRequirement, actual: string | undefined): boolean {
  switch (requirement.operator) {
    case 'In':
      return actual !== undefined && requirement.values.includes(actual);
    // "… and all resources with no labels with the [key]" (concepts, Labels and Selectors).
    case 'NotIn':
      return actual === undefined || !requirement.values.includes(actual);
    case 'Exists':
      return actual !== undefined;
    case 'DoesNotExist':
      return actual === undefined;
  }
}
