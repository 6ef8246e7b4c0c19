import { ADDRESS_BITS, ipNumber, networkOf } from '../../src/trace/ipNumber.ts';
import { ipText } from './ipText.ts';
import type { IpFamily } from '../../src/net/family.ts';
import type { Token } from './nftTokens.ts';
import { RefusedError } from './restoreTable.ts';

/** A value, prefix or range. What is written as a range is printed as one in a rule, and as a prefix, if it is one, in a set. */
export interface KeyRange {
  readonly from: bigint;
  readonly to: bigint;
  readonly form: 'value' | 'prefix' | 'range';
}

/** What keys may be made of. A type that packets have and sets need not be of is named as nft names it in its errors. */
export type TypeName =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ifname'
  | 'inet_service'
  | 'inet_proto'
  | 'icmpv6_type'
  | 'ether_type'
  | 'nf_proto'
  | 'pkt_type'
  | 'mark'
  | 'ct_state'
  | 'ct_status'
  | 'ct_dir'
  | 'fib_addrtype';

interface DataType {
  readonly bits: number;
  /** How many elements of a set nft prints in a line. */
  readonly columns: number;
  /** Whether flags are or-ed with commas, and a match asks for any of them. */
  readonly flags: boolean;
  readonly parse: (text: string) => bigint | undefined;
  readonly print: (value: bigint) => string;
}

/** The types that this reader knows. */
export const TYPES: Readonly<Record<TypeName, DataType>> = {
  ipv4_addr: { ...addresses('ipv4'), columns: 2 },
  ipv6_addr: { ...addresses('ipv6'), columns: 1 },
  ifname: {
    bits: 128,
    columns: 1,
    flags: false,
    parse: (text) => (text === '' ? undefined : interfaceNumber(text)),
    print: (value) => `"${interfaceText(value)}"`,
  },
  inet_service: { ...numbers(16), columns: 5 },
  inet_proto: { ...symbols(8, { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, icmpv6: 58, sctp: 132 }), columns: 5 },
  icmpv6_type: numbers(8, {
    'destination-unreachable': 1,
    'packet-too-big': 2,
    'time-exceeded': 3,
    'parameter-problem': 4,
    'echo-request': 128,
    'echo-reply': 129,
    'mld-listener-query': 130,
    'mld-listener-report': 131,
    'mld-listener-done': 132,
    'nd-router-solicit': 133,
    'nd-router-advert': 134,
    'nd-neighbor-solicit': 135,
    'nd-neighbor-advert': 136,
    'nd-redirect': 137,
    'router-renumbering': 138,
    'ind-neighbor-solicit': 141,
    'ind-neighbor-advert': 142,
    'mld2-listener-report': 143,
  }),
  ether_type: {
    ...numbers(16, { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, '8021q': 0x8100, vlan: 0x8100, '8021ad': 0x88a8 }),
    columns: 1,
  },
  nf_proto: symbols(8, { ipv4: 2, ipv6: 10 }),
  pkt_type: symbols(8, { host: 0, broadcast: 1, multicast: 2, other: 3 }),
  mark: { ...numbers(32), print: (value) => `0x${value.toString(16).padStart(8, '0')}` },
  ct_state: { ...symbols(32, { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }), flags: true },
  // Packets of the tests tell of no other status.
  ct_status: { ...symbols(32, { dnat: 0x20 }), flags: true },
  ct_dir: symbols(8, { original: 0, reply: 1 }),
  // What is not local may be of any other type: packets of the tests do not tell.
  fib_addrtype: symbols(32, { local: 2 }),
};

const LIKE_A_NUMBER = /^[\d.:a-fA-Fx/-]+$/;

/** Returns what one token says. Throws a RefusedError for numbers that nft does not take, an `Error` for words that this reader does not know. */
export function parseRange(name: TypeName, { text }: Pick<Token, 'text'>): KeyRange {
  const value = TYPES[name].parse(text);
  if (value !== undefined) return { from: value, to: value, form: 'value' };
  const range = prefixRange(name, text) ?? numberRange(name, text);
  if (range !== undefined) return range;
  // What is no address, nft would look for as a host.
  if (familyOfType(name) !== undefined || (name === 'ifname' && !text.includes('*')) || LIKE_A_NUMBER.test(text))
    throw new RefusedError(`"${text}" is not of type ${name}`);
  throw new Error(`Cannot read nft text: unknown ${name} "${text}"`);
}

/** Returns a key as a rule prints it. */
export function rangeText(name: TypeName, { from, to, form }: KeyRange): string {
  const { print } = TYPES[name];
  if (form === 'value') return print(from);
  if (form === 'prefix') return `${print(from)}/${prefixLength(name, { from, to })}`;
  // Names of numbers that lie in a range would read like one with a hyphen.
  return name === 'icmpv6_type' ? `${from}-${to}` : `${print(from)}-${print(to)}`;
}

/** Returns a key as an interval set holds it: a prefix where it is one. */
export function asElement(name: TypeName, { from, to }: KeyRange): KeyRange {
  if (from === to) return { from, to, form: 'value' };
  return { from, to, form: familyOfType(name) && prefixLength(name, { from, to }) !== undefined ? 'prefix' : 'range' };
}

/** Returns the bytes of a value in the order in which the kernel holds them. */
export function bytesOf(name: TypeName, value: bigint): readonly number[] {
  const count = TYPES[name].bits / 8;
  const littleEndian = Array.from({ length: count }, (_, index) => Number((value >> BigInt(index * 8)) & 0xffn));
  return name === 'ifname' ? littleEndian : littleEndian.toReversed();
}

/** Returns an interface's name as a number: nft compares its bytes from the last one on. */
export function interfaceNumber(text: string): bigint | undefined {
  if (!/^[^\s/"*!:]{0,15}$/.test(text)) return undefined;
  return [...Buffer.from(text)].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function interfaceText(value: bigint): string {
  return Buffer.from(bytesOf('ifname', value).filter((byte) => byte !== 0)).toString();
}

function addresses(family: IpFamily): DataType {
  const bits = ADDRESS_BITS[family];
  const parse = (text: string): bigint | undefined => {
    if (text.includes(':') !== (family === 'ipv6') || !/^[\d.:a-fA-F]+$/.test(text)) return undefined;
    try {
      return ipNumber(hexGroups(text.toLowerCase()), family);
    } catch {
      return undefined;
    }
  };
  return { bits, columns: 1, flags: false, parse, print: (value) => addressText(value, family) };
}

/** Returns IPv6 text without the dotted end that it may have. */
function hexGroups(text: string): string {
  const [, head, tail] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text) ?? [];
  if (head === undefined || tail === undefined) return text;
  const number = ipNumber(tail, 'ipv4');
  return `${head}${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
}

// As inet_ntop(3) of glibc writes addresses that hold an IPv4 one.
function addressText(value: bigint, family: IpFamily): string {
  const rest = value >> 32n;
  const embeds = family === 'ipv6' && ((rest === 0n && value > 0xffffn) || rest === 0xffffn);
  return embeds ? `::${rest === 0n ? '' : 'ffff:'}${ipText(value & 0xffffffffn, 'ipv4')}` : ipText(value, family);
}

function numbers(bits: number, names: Readonly<Record<string, number>> = {}): DataType {
  const named = symbols(bits, names);
  return {
    ...named,
    parse: (text) => {
      const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? BigInt(text) : named.parse(text);
      return value !== undefined && value < 1n << BigInt(bits) ? value : undefined;
    },
    print: (value) =>
      Object.values(names).includes(Number(value))
        ? named.print(value)
        : bits === 16 && Object.keys(names).length > 0
          ? `0x${value.toString(16).padStart(4, '0')}`
          : String(value),
  };
}

/** Of two names of a value, the first is printed. */
function symbols(bits: number, names: Readonly<Record<string, number>>): DataType {
  const values = new Map(Object.entries(names));
  return {
    bits,
    columns: 1,
    flags: false,
    parse: (text) => {
      const value = values.get(text) ?? [...values.values()].find((known) => String(known) === text);
      return value === undefined ? undefined : BigInt(value);
    },
    print: (value) => [...values].find(([, known]) => BigInt(known) === value)?.[0] ?? String(value),
  };
}

function familyOfType(name: TypeName): IpFamily | undefined {
  return name === 'ipv4_addr' ? 'ipv4' : name === 'ipv6_addr' ? 'ipv6' : undefined;
}

function prefixRange(name: TypeName, text: string): KeyRange | undefined {
  const family = familyOfType(name);
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const value = TYPES[name].parse(address);
  const prefix = Number(length);
  if (family === undefined || value === undefined || prefix > ADDRESS_BITS[family]) return undefined;
  const from = networkOf(value, { family, prefix });
  const to = from + (1n << BigInt(ADDRESS_BITS[family] - prefix)) - 1n;
  return { from, to, form: from === to ? 'value' : 'prefix' };
}

function numberRange(name: TypeName, text: string): KeyRange | undefined {
  const [low = '', high, ...more] = text.split('-');
  const from = TYPES[name].parse(low);
  const to = TYPES[name].parse(high ?? '');
  if (name === 'ifname' || from === undefined || to === undefined || more.length > 0) return undefined;
  if (from > to) throw new RefusedError('Range has zero or negative size');
  return { from, to, form: 'range' };
}

function prefixLength(name: TypeName, { from, to }: Pick<KeyRange, 'from' | 'to'>): number | undefined {
  const size = to - from + 1n;
  const isAligned = (size & (size - 1n)) === 0n && (from & (size - 1n)) === 0n;
  return isAligned ? TYPES[name].bits - (size.toString(2).length - 1) : undefined;
}
