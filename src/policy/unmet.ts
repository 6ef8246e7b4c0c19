import type { LabelSelector } from '../kube/labelSelector.ts';
import type { Peer, PolicyPort } from '../kube/networkPolicy.ts';
import type { Flow, Party } from './flow.ts';
import { peerMismatch, portMismatch, type PeerMismatch, type PeerQuestion, type PortMismatch } from './mismatch.ts';

/**
 * Returns everything for which a NetworkPolicyPeer does not mean the other end of the flow, where `peerMismatch` returns the first: of labels
 * every requirement that is not met, of a network every exception. Empty if the peer matches.
 */
export function peerMismatches(peer: Peer, question: PeerQuestion): readonly PeerMismatch[] {
  const first = peerMismatch(peer, question);
  if (first === undefined) return [];
  if (first.kind === 'except' && peer.kind === 'ipBlock')
    return peer.except.flatMap((cidr) => peerMismatch({ ...peer, except: [cidr] }, question) ?? []);
  const { party } = question;
  if (peer.kind === 'ipBlock' || party.kind !== 'pod') return [first];
  const ofNamespace = partsOf(peer.namespaceSelector).flatMap(
    (part) => peerMismatch({ kind: 'pods', namespaceSelector: part, podSelector: undefined }, question) ?? [],
  );
  // Of the pod alone, as if the policy were in its namespace.
  const near = { ...question, policyNamespace: party.pod.namespace };
  const ofPod = partsOf(peer.podSelector).flatMap(
    (part) => peerMismatch({ kind: 'pods', namespaceSelector: undefined, podSelector: part }, near) ?? [],
  );
  return [...(first.kind === 'unknownNamespace' ? [first] : ofNamespace), ...ofPod];
}

/** Returns selectors of one requirement each that together want what the selector wants. */
function partsOf(selector: LabelSelector | undefined): readonly (LabelSelector | undefined)[] {
  if (selector === undefined) return [undefined];
  const parts = [
    ...[...selector.matchLabels].map((entry) => ({ matchLabels: new Map([entry]), matchExpressions: [] })),
    ...selector.matchExpressions.map((requirement) => ({ matchLabels: new Map(), matchExpressions: [requirement] })),
  ];
  return parts.length === 0 ? [selector] : parts;
}

/** Returns everything for which a NetworkPolicyPort does not mean the flow's port: the protocol, and the number as if it were of that protocol. */
export function portMismatches(
  port: PolicyPort,
  question: { readonly flow: Flow; readonly destination: Party },
): readonly PortMismatch[] {
  const first = portMismatch(port, question);
  if (first?.kind !== 'protocol') return first === undefined ? [] : [first];
  const flow = { ...question.flow, protocol: port.protocol };
  return [first, ...[portMismatch(port, { ...question, flow }) ?? []].flat()];
}
