import { isPortName, isPortNumber } from '../net/port.ts';
import { PROTOCOLS } from '../net/protocol.ts';
import type { Protocol } from '../net/protocol.ts';
import { show } from './field.ts';
import type { Field } from './field.ts';

/**
 * Decodes the protocol of a port; absent means TCP. Any case is taken: manifests of the time of `extensions/v1beta1` have
 * `tcp`, and it can mean nothing else.
 */
export function decodeProtocol(field: Field): Protocol {
  if (field.isAbsent) return 'TCP';
  const text = field.string().toUpperCase();
  const protocol = PROTOCOLS.find((known) => known === text);
  return protocol ?? field.fail(`Cannot use ${show(field.value)}: must be "TCP", "UDP" or "SCTP"`, 'TCP');
}

/** Decodes a port number. */
export function decodePortNumber(field: Field): number {
  const { value } = field;
  if (typeof value === 'number' && isPortNumber(value)) return value;
  return field.fail(`Cannot use ${show(value)}: a port is a number from 1 to 65535`, 1);
}

/** Decodes the name of a port. A number in quotes is none: the API server refuses it too. */
export function decodePortName(field: Field): string {
  const name = field.string();
  if (isPortName(name)) return name;
  const shape = 'a port name is at most 15 lower-case letters, digits and single "-", with a letter among them';
  const remedy = /^\d+$/.test(name) ? 'write a port number without quotes' : shape;
  return field.fail(`Cannot use ${show(field.value)}: ${remedy}`, name);
}
