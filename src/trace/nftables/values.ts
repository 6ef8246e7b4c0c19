import type { NftSet } from '../../rules/nftables/table.ts';
import { ADDRESS_BITS, ipNumber, networkOf } from '../ipNumber.ts';
import type { Field } from './fields.ts';

/** What a packet has in a field. */
export interface Value {
  readonly kind: Field['kind'];
  readonly text: string;
}

/** Tells whether a value is the one, or in the network or range, that a text names. Throws an `Error` for a text that is not understood. */
function isValue({ kind, text }: Value, wanted: string): boolean {
  if (text === wanted) return true;
  switch (kind) {
    case 'address':
      return isInNetwork(text, wanted);
    case 'number':
      return isInRange(Number(text), wanted);
    case 'word':
      // For all that a packet may be here nft has a word: what it prints as a number the packet is not.
      if (wanted.includes('*')) throw new Error(`${wanted} is not one name`);
      return false;
  }
}

function isInNetwork(address: string, wanted: string): boolean {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const number = ipNumber(address, family);
  const [from = '', to] = wanted.split('-');
  if (to !== undefined) return number >= ipNumber(from, family) && number <= ipNumber(to, family);
  const [network = '', length = String(ADDRESS_BITS[family])] = wanted.split('/');
  const prefix = Number(length);
  return networkOf(number, { family, prefix }) === networkOf(ipNumber(network, family), { family, prefix });
}

function isInRange(value: number, wanted: string): boolean {
  const [prefix = '', length] = wanted.split('/');
  if (length !== undefined) return isMarked(value, { prefix: numberOf(prefix), length: numberOf(length) });
  const [from = '', to = from] = wanted.split('-');
  return value >= numberOf(from) && value <= numberOf(to);
}

/** Older versions of nft print a mask of leading bits so: `0x00010000/16`. */
function isMarked(value: number, { prefix, length }: { readonly prefix: number; readonly length: number }): boolean {
  return length === 0 || value >>> (32 - length) === prefix >>> (32 - length);
}

/** Returns a number as nft prints it. Throws an `Error` for anything else. */
export function numberOf(text: string): number {
  if (!/^(?:0x[0-9a-f]+|\d+)$/.test(text)) throw new Error(`"${text}" is not a number`);
  return Number(text);
}

/** Returns what stands behind the key of the element that holds the values, `undefined` where none does. */
export function elementOf({ type, elements }: NftSet, values: readonly Value[]): string | undefined {
  if (/timeout|dynamic/.test(type)) throw new Error('what packets put into a set is not looked at');
  if (!type.includes('interval')) return elements.get(values.map(({ text }) => text).join(' . '));
  for (const [key, rest] of elements) if (areValues(values, key)) return rest;
  return undefined;
}

/** Tells whether these are the values that a key such as `10.0.0.0/8 . 80` names. */
export function areValues(values: readonly Value[], key: string): boolean {
  const parts = key.split(' . ');
  return parts.length === values.length && values.every((value, index) => isValue(value, parts[index] ?? ''));
}
