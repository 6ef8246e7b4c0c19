import { IPv4, IPv6 } from 'ip-num';
import { ipv6Text } from './address.ts';
import { addressBits, firstValue, prefixOf, valueOf, type Cidr } from './cidr.ts';
import { familyOf, type IpFamily } from './family.ts';

/** Addresses of one family from the first to the last, both included. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** The addresses of a network that are in none of the exceptions. */
interface Block {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/**
 * Returns the addresses of one family that lie in any of the blocks, as texts of ranges that do not touch each other: a network (`10.0.0.0/8`) where
 * a range is one, `FIRST-LAST` where it is not.
 */
export function rangesOf(blocks: readonly Block[], family: IpFamily): readonly string[] {
  return rangesIn(blocks, family).map((range) => rangeText(range, family));
}

/** Returns the same addresses in as few networks as it takes. */
export function networksOf(blocks: readonly Block[], family: IpFamily): readonly Cidr[] {
  const bits = addressBits(family);
  return rangesIn(blocks, family).flatMap(({ first, last }) => {
    const networks: Cidr[] = [];
    for (let start = first; start <= last;) {
      let hostBits = 0;
      const size = (): bigint => 1n << BigInt(hostBits + 1);
      while (hostBits < bits && start % size() === 0n && start + size() - 1n <= last) hostBits += 1;
      networks.push({ text: `${addressText(start, family)}/${bits - hostBits}`, family });
      start += 1n << BigInt(hostBits);
    }
    return networks;
  });
}

function rangesIn(blocks: readonly Block[], family: IpFamily): readonly Range[] {
  const isOwn = (cidr: Cidr) => cidr.family === family;
  const own = blocks.filter(({ cidr }) => isOwn(cidr));
  return merged(own.flatMap(({ cidr, except }) => without(rangeOf(cidr), merged(except.filter(isOwn).map(rangeOf)))));
}

/** Returns the text that `rangesOf` gives to a range, whichever way it is written: programs differ in when they write a network. */
export function canonicalRange(text: string): string {
  const [from = '', to] = text.split('-');
  if (to === undefined) return text;
  return rangeText({ first: valueOf(from), last: valueOf(to) }, familyOf(from));
}

function rangeOf(cidr: Cidr): Range {
  const first = firstValue(cidr);
  return { first, last: first + (1n << BigInt(addressBits(cidr.family) - prefixOf(cidr))) - 1n };
}

function merged(ranges: readonly Range[]): readonly Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1));
  const result: Range[] = [];
  for (const range of sorted) {
    const before = result.at(-1);
    if (before === undefined || range.first > before.last + 1n) result.push(range);
    else if (range.last > before.last) result[result.length - 1] = { first: before.first, last: range.last };
  }
  return result;
}

/** `holes` are sorted and do not overlap. */
function without(range: Range, holes: readonly Range[]): readonly Range[] {
  const left: Range[] = [];
  let { first } = range;
  for (const hole of holes) {
    if (hole.last < first || hole.first > range.last) continue;
    if (hole.first > first) left.push({ first, last: hole.first - 1n });
    first = hole.last + 1n;
  }
  return first > range.last ? left : [...left, { first, last: range.last }];
}

function rangeText({ first, last }: Range, family: IpFamily): string {
  const bits = addressBits(family);
  const size = last - first + 1n;
  const hostBits = size.toString(2).length - 1;
  const isNetwork = size === 1n << BigInt(hostBits) && first % size === 0n;
  if (!isNetwork) return `${addressText(first, family)}-${addressText(last, family)}`;
  return hostBits === 0 ? addressText(first, family) : `${addressText(first, family)}/${bits - hostBits}`;
}

function addressText(value: bigint, family: IpFamily): string {
  // The ends of what is left of a network may be addresses that nobody could write.
  return family === 'ipv4' ? new IPv4(value).toString() : ipv6Text(new IPv6(value).toString());
}
