import { decodeMode, type AuditMode } from './auditMode.ts';
import { cidrContains, parseCidr, prefixOf } from '../net/cidr.ts';
import type { Cidr } from '../net/cidr.ts';
import type { Protocol } from '../net/protocol.ts';
import { show } from './field.ts';
import type { Field } from './field.ts';
import { decodeLabelSelector } from './labelSelector.ts';
import type { LabelSelector } from './labelSelector.ts';
import { decodeMetadata } from './metadata.ts';
import { decodePortName, decodePortNumber, decodeProtocol } from './port.ts';

export type Direction = 'ingress' | 'egress';

/**
 * A NetworkPolicyPeer. `namespaceSelector` absent means the policy's own namespace; `podSelector` absent means all pods of the
 * namespaces selected. One of the two is always there.
 */
export type Peer =
  | {
      readonly kind: 'pods';
      readonly namespaceSelector: LabelSelector | undefined;
      readonly podSelector: LabelSelector | undefined;
    }
  | { readonly kind: 'ipBlock'; readonly cidr: Cidr; readonly except: readonly Cidr[] };

/** A NetworkPolicyPort: `port` absent means every port of the protocol; a number with `endPort` is a range. */
export type PolicyPort =
  | { readonly kind: 'protocol'; readonly protocol: Protocol }
  | { readonly kind: 'range'; readonly protocol: Protocol; readonly from: number; readonly to: number }
  | { readonly kind: 'named'; readonly protocol: Protocol; readonly name: string };

/** One element of `ingress` or `egress`. An absent or empty list of peers or ports does not restrict: it is `any`. */
export interface PolicyRule {
  readonly peers: 'any' | readonly Peer[];
  readonly ports: 'any' | readonly PolicyPort[];
}

/** A NetworkPolicy with the defaults of `policyTypes` applied. */
export interface NetworkPolicy extends AuditMode {
  readonly kind: 'NetworkPolicy';
  readonly namespace: string;
  readonly name: string;
  readonly podSelector: LabelSelector;
  /** The allow rules for each direction in which the policy isolates its pods; `undefined` where it does not isolate. */
  readonly ingress: readonly PolicyRule[] | undefined;
  readonly egress: readonly PolicyRule[] | undefined;
}

/**
 * Decodes a NetworkPolicy of `networking.k8s.io/v1` or `extensions/v1beta1`, which have the same fields and defaults. An
 * unknown field is a problem here, not ignored as in other kinds: a list indented one step off would open or close pods that
 * its author did not mean.
 */
export function decodeNetworkPolicy(field: Field): NetworkPolicy {
  field.allowOnly(['apiVersion', 'kind', 'metadata', 'spec', 'status'], whereItBelongs);
  const { namespace, name } = decodeMetadata(field.child('metadata'));
  const spec = field.child('spec');
  spec.allowOnly(['podSelector', 'policyTypes', 'ingress', 'egress'], whereItBelongs);
  const podSelector = decodeLabelSelector(spec.child('podSelector'), whereItBelongs);
  const ingress = spec.list('ingress', (rule) => decodeRule(rule, 'from'));
  const egress = spec.list('egress', (rule) => decodeRule(rule, 'to'));
  const types = decodePolicyTypes(spec.child('policyTypes'));
  // "If no policyTypes are specified, by default Ingress will always be set and Egress if the policy has any egress rules."
  const isolates = types.length > 0 ? types : ['Ingress', ...(egress.length > 0 ? ['Egress'] : [])];
  return {
    kind: 'NetworkPolicy',
    namespace,
    name,
    ...decodeMode(field.child('metadata')),
    podSelector,
    ingress: isolates.includes('Ingress') ? ingress : undefined,
    egress: isolates.includes('Egress') ? egress : undefined,
  };
}

function decodePolicyTypes(field: Field): readonly string[] {
  const types = field.elements();
  if (types.length > 2) return field.fail('Cannot use more than two policyTypes', []);
  return types.map((type) => {
    if (type.value === 'Ingress' || type.value === 'Egress') return type.value;
    return type.fail(`Cannot use ${show(type.value)}: must be "Ingress" or "Egress"`, '');
  });
}

function decodeRule(field: Field, peersKey: 'from' | 'to'): PolicyRule {
  field.allowOnly([peersKey, 'ports'], whereItBelongs);
  const peers = field.list(peersKey, decodePeer);
  const ports = field.list('ports', decodePolicyPort);
  return { peers: peers.length === 0 ? 'any' : peers, ports: ports.length === 0 ? 'any' : ports };
}

function decodePeer(field: Field): Peer {
  field.allowOnly(['podSelector', 'namespaceSelector', 'ipBlock'], whereItBelongs);
  const podSelector = decodeOptionalSelector(field.child('podSelector'));
  const namespaceSelector = decodeOptionalSelector(field.child('namespaceSelector'));
  const ipBlock = field.child('ipBlock');
  const selects = podSelector !== undefined || namespaceSelector !== undefined;
  if (!ipBlock.isAbsent) {
    const peer = decodeIpBlock(ipBlock);
    return selects ? field.fail('Cannot use ipBlock together with a selector: write two elements', peer) : peer;
  }
  if (!selects) field.fail('Missing peer: needs "podSelector", "namespaceSelector" or "ipBlock"', undefined);
  return { kind: 'pods', namespaceSelector, podSelector };
}

// Absent and empty differ here: no namespaceSelector is the policy's own namespace, an empty one is all namespaces.
function decodeOptionalSelector(field: Field): LabelSelector | undefined {
  return field.isAbsent ? undefined : decodeLabelSelector(field, whereItBelongs);
}

function decodeIpBlock(field: Field): Peer {
  field.allowOnly(['cidr', 'except'], whereItBelongs);
  const cidr = decodeCidr(field.child('cidr'));
  if (cidr === undefined) return { kind: 'ipBlock', cidr: { text: '0.0.0.0/0', family: 'ipv4' }, except: [] };
  const excepts = field.list('except', (element) => decodeExcept(element, cidr));
  return { kind: 'ipBlock', cidr, except: excepts.filter((except) => except !== undefined) };
}

function decodeExcept(field: Field, cidr: Cidr): Cidr | undefined {
  const except = decodeCidr(field);
  if (except === undefined || (cidrContains(cidr, except) && prefixOf(except) > prefixOf(cidr))) return except;
  return field.fail(`Cannot use "${except.text}": must be a smaller network within cidr "${cidr.text}"`, undefined);
}

function decodeCidr(field: Field): Cidr | undefined {
  try {
    return parseCidr(field.string());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return field.fail(error.message, undefined);
  }
}

function decodePolicyPort(field: Field): PolicyPort {
  field.allowOnly(['protocol', 'port', 'endPort'], whereItBelongs);
  const protocol = decodeProtocol(field.child('protocol'));
  const port = field.child('port');
  const endPort = field.child('endPort');
  if (typeof port.value === 'number') {
    const from = decodePortNumber(port);
    return { kind: 'range', protocol, from, to: endPort.isAbsent ? from : decodeEndPort(endPort, from) };
  }
  if (!endPort.isAbsent) endPort.fail('Cannot use endPort: port must be a number', undefined);
  return port.isAbsent ? { kind: 'protocol', protocol } : { kind: 'named', protocol, name: decodePortName(port) };
}

function decodeEndPort(field: Field, from: number): number {
  const to = decodePortNumber(field);
  return to >= from ? to : field.fail(`Cannot use ${to}: must not be less than port ${from}`, from);
}

const PLACES: ReadonlyMap<string, string> = new Map([
  ['policyTypes', 'directly in "spec"'],
  ['ingress', 'directly in "spec"'],
  ['egress', 'directly in "spec"'],
  ['from', 'in an element of "ingress"'],
  ['to', 'in an element of "egress"'],
  ['ports', 'in an element of "ingress" or "egress", beside "from" or "to"'],
  ['port', 'in an element of "ports"'],
  ['protocol', 'in an element of "ports"'],
  ['endPort', 'in an element of "ports"'],
  ['podSelector', 'in "spec", or in an element of "from" or "to"'],
  ['namespaceSelector', 'in an element of "from" or "to"'],
  ['ipBlock', 'in an element of "from" or "to"'],
  ['cidr', 'in "ipBlock"'],
  ['except', 'in "ipBlock"'],
  ['matchLabels', 'in a selector'],
  ['matchExpressions', 'in a selector'],
]);

function whereItBelongs(key: string): string | undefined {
  const place = PLACES.get(key);
  return place === undefined ? undefined : `it belongs ${place}; check the indentation`;
}
