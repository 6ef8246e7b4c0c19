import { IPv4, IPv6 } from 'ip-num';
import { canonicalAddress } from './address.ts';
import { familyOf } from './family.ts';
import type { IpFamily } from './family.ts';
import { quote } from './quote.ts';

/** A network in canonical text: no host bits set, e.g. `10.0.0.0/24`, `2001:db8::/32`. */
export interface Cidr {
  readonly text: string;
  readonly family: IpFamily;
}

const BITS = { ipv4: 32, ipv6: 128 } as const;

/**
 * Returns the network that `text` (`ADDRESS/PREFIX`) lies in: host bits are masked off, as the API server takes them.
 * @throws RangeError
 */
export function parseCidr(text: string): Cidr {
  const slash = text.lastIndexOf('/');
  if (slash < 0) throw new RangeError(`Cannot use ${quote(text)}: a network needs a prefix length, e.g. "10.0.0.0/24"`);
  const address = canonicalAddress(text.slice(0, slash));
  const family = familyOf(address);
  const prefix = text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > BITS[family]) {
    throw new RangeError(`Cannot use ${quote(text)}: expected a prefix length from 0 to ${BITS[family]}`);
  }
  return { text: `${firstAddress(address, Number(prefix))}/${prefix}`, family };
}

/** Tells whether all addresses of `inner`, a canonical address or a network, lie in `cidr`. Never true across families. */
export function cidrContains(cidr: Cidr, inner: string | Cidr): boolean {
  const network =
    typeof inner === 'string' ? { text: `${inner}/${BITS[familyOf(inner)]}`, family: familyOf(inner) } : inner;
  if (network.family !== cidr.family || prefixOf(network) < prefixOf(cidr)) return false;
  const hostBits = BigInt(BITS[cidr.family] - prefixOf(cidr));
  return valueOf(addressOf(network)) >> hostBits === valueOf(addressOf(cidr)) >> hostBits;
}

/** Returns the prefix length of a network. */
export function prefixOf(cidr: Cidr): number {
  return Number(cidr.text.slice(cidr.text.lastIndexOf('/') + 1));
}

/** Returns the first address of a network as a number. */
export function firstValue(cidr: Cidr): bigint {
  return valueOf(addressOf(cidr));
}

/** Returns how many bits an address has. */
export function addressBits(family: IpFamily): number {
  return BITS[family];
}

function addressOf(cidr: Cidr): string {
  return cidr.text.slice(0, cidr.text.lastIndexOf('/'));
}

function firstAddress(address: string, prefix: number): string {
  const family = familyOf(address);
  const hostBits = BigInt(BITS[family] - prefix);
  const first = (valueOf(address) >> hostBits) << hostBits;
  return family === 'ipv4' ? new IPv4(first).toString() : canonicalAddress(new IPv6(first).toString());
}

// One flow is held against thousands of networks, and reading an address takes 5 to 36 µs.
const known = new Map<string, bigint>();
const MOST_KNOWN = 65_536;

/** Returns a canonical address as a number. */
export function valueOf(address: string): bigint {
  const seen = known.get(address);
  if (seen !== undefined) return seen;
  const value = (familyOf(address) === 'ipv4' ? new IPv4(address) : new IPv6(address)).getValue();
  if (known.size === MOST_KNOWN) known.clear();
  known.set(address, value);
  return value;
}
