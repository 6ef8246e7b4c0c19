import type { LabelSelectorRequirement } from '../kube/labelSelector.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import { portText } from '../kube/portText.ts';
import { printable } from '../net/quote.ts';
import type { End, Explanation, Refusal, RulePlace, SideReason, Unmet } from './explain.ts';
import type { LabelMismatch } from './mismatch.ts';

/** An explanation in words, in the parts that a page lays out; `explainText` is the same as lines. */
export interface ExplanationWords {
  readonly verdict: 'ALLOWED' | 'DENIED';
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly notes: readonly string[];
  readonly sides: readonly [SideWords, SideWords];
}

/** What one end says: of whom, what, and why. */
export interface SideWords {
  readonly direction: Direction;
  readonly self: string;
  readonly says: string;
  readonly reasons: readonly Reason[];
}

/** A policy's part in it: it allows (`✓`), it does not (`✗`) for want of what is lacking, or it has no say. */
export interface Reason {
  readonly mark: '✓' | '✗' | ' ';
  readonly text: string;
  readonly lacking: readonly string[];
}

/** Returns an explanation as people read it. `places` says where policies stand, by key; of one that is not in there only the key is told. */
export function explainText(explanation: Explanation, places: ReadonlyMap<string, string>): string {
  const { verdict, from, to, port, notes, sides } = explanationWords(explanation, places);
  const lines = [
    `${verdict}  ${from} → ${to}  ${port}`,
    ...notes.map((note) => INDENT + note),
    '',
    ...sides.flatMap(sideLines),
  ];
  return `${lines.join('\n')}\n`;
}

/** What stands before lines that belong to another. */
export const INDENT = ' '.repeat(9);

/** Returns the lines of one end. */
export function sideLines({ direction, self, says, reasons }: SideWords): readonly string[] {
  const reasonLines = reasons.flatMap(({ mark, text, lacking }) => [
    `${INDENT}${mark} ${text}`,
    ...lacking.map((lack) => `${INDENT}    ${lack}`),
  ]);
  return [`${direction.padEnd(8)} ${self}: ${says}`, ...reasonLines];
}

/** Returns the words of `explainText` in their parts. */
export function explanationWords(explanation: Explanation, places: ReadonlyMap<string, string>): ExplanationWords {
  const { from, to, allowed, egress, ingress } = explanation;
  const side = (reason: SideReason, direction: Direction) =>
    sideWords(reason, { direction, explanation, policy: (key) => policyText(key, places) });
  return {
    verdict: allowed ? 'ALLOWED' : 'DENIED',
    from: endText(from),
    to: endText(to),
    port: portText(explanation),
    notes: [from, to].flatMap(notesOf),
    sides: [side(egress, 'egress'), side(ingress, 'ingress')],
  };
}

function policyText(key: string, places: ReadonlyMap<string, string>): string {
  const place = places.get(key);
  return place === undefined ? printable(key) : `${printable(key)} (${place})`;
}

function endText(end: End): string {
  const { pod, address, kind } = end;
  if (pod !== undefined) return address === undefined ? printable(pod) : `${printable(pod)} (${printable(address)})`;
  return kind === 'outside' ? `${nameOf(end)} (no pod)` : nameOf(end);
}

/** Returns an end as it is called within a sentence. */
export function nameOf({ pod, address }: Pick<End, 'pod' | 'address'>): string {
  return printable(pod ?? address ?? 'an unknown address');
}

function notesOf(end: End): readonly string[] {
  const { kind, pod, nodeName, finished } = end;
  const ended = finished === undefined ? [] : [`${printable(finished)} has ended${endedText(end)}`];
  if (kind !== 'node') return ended;
  const what = pod === undefined ? 'is an address' : 'has the network';
  return [...ended, `${nameOf(end)} ${what} of node ${printable(nodeName ?? '(none yet)')}: no policy selects it`];
}

function endedText(end: End): string {
  if (end.address === undefined) return ': it has no address any more';
  return `: its address ${printable(end.address)} is ${end.kind === 'outside' ? "nobody's" : `that of ${nameOf(end)}`} now`;
}

interface SideContext {
  readonly direction: Direction;
  readonly explanation: Explanation;
  readonly policy: (key: string) => string;
}

function sideWords(reason: SideReason, context: SideContext): SideWords {
  const { direction, explanation } = context;
  const self = nameOf(direction === 'egress' ? explanation.from : explanation.to);
  return { direction, self, says: saidOf(reason, direction), reasons: reasonsOf(reason, context) };
}

function saidOf(reason: SideReason, direction: Direction): string {
  switch (reason.kind) {
    case 'notAPod':
      return 'not judged: it is no pod with a network of its own';
    case 'itself':
      return 'allowed: a pod always reaches itself';
    case 'ownNode':
      return 'allowed: a pod and its own node always reach each other';
    case 'notIsolated':
      return `open: no policy selects it for ${direction}`;
    case 'allowed':
      return 'allowed';
    case 'audited':
    case 'refused': {
      const count = reason.by.length === 1 ? 'one policy isolates it' : `${reason.by.length} policies isolate it`;
      const said = reason.kind === 'audited' ? 'allowed by audit mode alone, would be refused' : 'refused';
      return `${said}: ${count}, and no rule allows this`;
    }
  }
}

function reasonsOf(reason: SideReason, context: SideContext): readonly Reason[] {
  const { direction, policy } = context;
  switch (reason.kind) {
    case 'notAPod':
    case 'itself':
    case 'ownNode':
      return [];
    case 'notIsolated':
      return reason.otherDirection.map((key) => ({
        mark: ' ',
        text: `${policy(key)} selects it, but not for ${direction}`,
        lacking: [],
      }));
    case 'allowed':
      return reason.by.map((place) => ({ mark: '✓', text: `${policy(place.policy)} ${pathText(place)}`, lacking: [] }));
    case 'audited':
    case 'refused':
      return reason.by.map((by) => refusalReason(by, context));
  }
}

function pathText({ peerPath, portPath, peer, port }: RulePlace): string {
  const ports = portPath === undefined ? 'any port' : portPath.slice(portPath.lastIndexOf('.') + 1);
  return `${peerPath}${peer === undefined ? ' (any peer)' : ''}, ${port === undefined ? 'any port' : ports}`;
}

function refusalReason({ policy: key, nearest }: Refusal, context: SideContext): Reason {
  const { direction, policy } = context;
  if (nearest === undefined)
    return { mark: '✗', text: `${policy(key)} has no ${direction} rules: it allows nothing`, lacking: [] };
  return {
    mark: '✗',
    text: `${policy(key)}, nearest rule: ${pathText(nearest)}`,
    lacking: nearest.unmet.map((unmet) => unmetText(unmet, context)),
  };
}

/** Returns what of a rule does not match the flow: what is, then what the rule wants. */
function unmetText(unmet: Unmet, { direction, explanation }: SideContext): string {
  const { to, port, protocol } = explanation;
  const peer = direction === 'egress' ? to : explanation.from;
  switch (unmet.kind) {
    case 'podLabel':
      return `pod ${nameOf(peer)} ${labelText(unmet.label)}`;
    case 'namespaceLabel':
      return `namespace ${namespaceOf(peer)} ${labelText(unmet.label)}`;
    case 'otherNamespace':
      return `${nameOf(peer)} is in another namespace: without a namespaceSelector the rule means pods of ${printable(unmet.wanted)} only`;
    case 'unknownNamespace':
      return `there is no Namespace object ${namespaceOf(peer)}: no namespaceSelector selects its pods`;
    case 'notAPod':
      return `${nameOf(peer)} is no pod${peer.kind === 'node' ? ' with a network of its own' : ''}: the rule selects pods, only an ipBlock could allow it`;
    case 'outsideBlock':
      return peer.address === undefined
        ? `${nameOf(peer)} has no address: the rule wants one in ${unmet.cidr.text}`
        : `${printable(peer.address)} is not in ${unmet.cidr.text}`;
    case 'except':
      return `${printable(peer.address ?? '')} is in ${unmet.cidr.text}, which the rule excepts`;
    case 'protocol':
      return `protocol is ${protocol}: the rule wants ${unmet.wanted}`;
    case 'number':
      return `port is ${port}: the rule wants ${unmet.from === unmet.to ? unmet.from : `${unmet.from} to ${unmet.to}`}`;
    case 'named':
      return namedText(unmet, explanation);
  }
}

function namedText(
  { name, numbers }: Extract<Unmet, { kind: 'named' }>,
  { to, port }: Pick<Explanation, 'to' | 'port'>,
): string {
  const wanted = `the rule wants the port named "${printable(name)}"`;
  if (to.kind !== 'pod') return `port is ${port}: ${wanted}, and ${nameOf(to)} is no pod to have one`;
  if (numbers.length === 0)
    return `port is ${port}: ${wanted}, and no container of ${nameOf(to)} has one of that protocol`;
  return `port is ${port}: ${wanted}, which is ${numbers.join(' and ')} of ${nameOf(to)}`;
}

function namespaceOf({ pod = '' }: End): string {
  return printable(pod.slice(0, pod.indexOf('/')));
}

function labelText({ requirement, actual }: LabelMismatch): string {
  const key = printable(requirement.key);
  const found = actual === undefined ? `has no label ${key}` : `has label ${key}=${printable(actual)}`;
  return `${found}: the rule wants ${wantedText(requirement)}`;
}

function wantedText(requirement: LabelSelectorRequirement): string {
  const key = printable(requirement.key);
  switch (requirement.operator) {
    case 'In':
      return requirement.values.length === 1
        ? `${key}=${printable(requirement.values[0] ?? '')}`
        : `${key} in (${valuesText(requirement.values)})`;
    case 'NotIn':
      return `${key} not in (${valuesText(requirement.values)})`;
    case 'Exists':
      return `any label ${key}`;
    case 'DoesNotExist':
      return `no label ${key}`;
  }
}

function valuesText(values: readonly string[]): string {
  return printable(values.join(', '));
}
