import * as fc from 'fast-check';
import { describe, test } from 'vitest';
import { canonicalAddress } from '../../src/net/address.ts';
import { cidrContains, parseCidr, prefixOf } from '../../src/net/cidr.ts';
import { familyOf } from '../../src/net/family.ts';

describe('a network is named by its first address', () => {
  test.for([
    ['10.0.0.0/8', '10.0.0.0/8', 'ipv4'],
    ['10.1.2.3/9', '10.0.0.0/9', 'ipv4'],
    ['10.1.2.3/32', '10.1.2.3/32', 'ipv4'],
    ['255.255.255.255/0', '0.0.0.0/0', 'ipv4'],
    ['2001:DB8::1/33', '2001:db8::/33', 'ipv6'],
    ['fd00::1:2/112', 'fd00::1:0/112', 'ipv6'],
    ['ff::1/0', '::/0', 'ipv6'],
  ])('%s is %s', ([text = '', canonical, family], { expect }) => {
    expect(parseCidr(text)).toEqual({ text: canonical, family });
  });
});

test.for([
  '10.0.0.0',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '::/129',
  '/8',
  '::ffff:10.0.0.0/104',
  '10.0.0.0/255.0.0.0',
])('%j is no network', (text, { expect }) => {
  expect(() => parseCidr(text)).toThrow(RangeError);
});

test('a network without a prefix says how to write one', ({ expect }) => {
  expect(() => parseCidr('10.0.0.1')).toThrow(
    'Cannot use "10.0.0.1": a network needs a prefix length, e.g. "10.0.0.0/24"',
  );
});

test('a network holds the addresses and networks that share its prefix', ({ expect }) => {
  const ends = fc.record({ network: address(), inner: address(), prefix: prefix(), innerPrefix: prefix() });
  fc.assert(
    fc.property(ends, ({ network, inner, prefix: wanted, innerPrefix: wantedInner }) => {
      const cidr = parseCidr(`${network}/${Math.min(wanted, bitsOf(network))}`);
      const innerCidr = parseCidr(`${inner}/${Math.min(wantedInner, bitsOf(inner))}`);
      const inside = sharesPrefix(inner, network, prefixOf(cidr));
      expect(cidrContains(cidr, inner)).toBe(inside);
      expect(cidrContains(cidr, innerCidr)).toBe(inside && prefixOf(innerCidr) >= prefixOf(cidr));
    }),
    { numRuns: 1000 },
  );
});

test('the families never hold each other', ({ expect }) => {
  expect(cidrContains(parseCidr('0.0.0.0/0'), '::1')).toBe(false);
  expect(cidrContains(parseCidr('::/0'), '10.0.0.1')).toBe(false);
});

/** Addresses that often share a prefix. */
function address(): fc.Arbitrary<string> {
  const ipv4 = bytes(4).map((four) => four.join('.'));
  const ipv6 = bytes(16).map((sixteen) => {
    const hex = ['fd', ...sixteen.slice(1).map((byte) => byte.toString(16).padStart(2, '0'))].join('');
    return canonicalAddress(hex.match(/.{4}/g)?.join(':') ?? '');
  });
  return fc.oneof(ipv4, ipv6);
}

function bytes(length: number): fc.Arbitrary<readonly number[]> {
  return fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: length, maxLength: length });
}

function prefix(): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 128 });
}

function bitsOf(text: string): number {
  return familyOf(text) === 'ipv4' ? 32 : 128;
}

function sharesPrefix(a: string, b: string, length: number): boolean {
  return familyOf(a) === familyOf(b) && binary(a).slice(0, length) === binary(b).slice(0, length);
}

function binary(text: string): string {
  if (familyOf(text) === 'ipv4')
    return text
      .split('.')
      .map((byte) => digits(Number(byte), 8))
      .join('');
  const [head = '', tail = ''] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].map((group) => digits(Number.parseInt(group, 16), 16)).join('');
}

function digits(value: number, length: number): string {
  return value.toString(2).padStart(length, '0');
}
