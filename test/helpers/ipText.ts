import type { IpFamily } from '../../src/net/family.ts';

/** Returns the text of an address, IPv6 in the form of RFC 5952 but for embedded IPv4. */
export function ipText(number: bigint, family: IpFamily): string {
  return family === 'ipv4' ? groups(number, { count: 4, bits: 8 }).join('.') : ipv6Text(number);
}

function ipv6Text(number: bigint): string {
  const text = groups(number, { count: 8, bits: 16 })
    .map((group) => group.toString(16))
    .join(':');
  const runs = text.match(/\b0(:0)+\b/g) ?? [];
  const longest = runs.toSorted((a, b) => b.length - a.length)[0];
  if (longest === undefined) return text;
  const at = new RegExp(`(^|:)${longest}(:|$)`);
  return text.replace(at, '::');
}

function groups(number: bigint, { count, bits }: { readonly count: number; readonly bits: number }): readonly bigint[] {
  return Array.from(
    { length: count },
    (_, index) => (number >> BigInt((count - 1 - index) * bits)) & ((1n << BigInt(bits)) - 1n),
  );
}
