import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, test } from 'vitest';
import { canonicalAddress } from '../../src/net/address.ts';

describe('an address has one text', () => {
  test.for([
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['FD00::A', 'fd00::a'],
    ['2001:0db8:0:0:0:0:0:1', '2001:db8::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['::', '::'],
  ])('%s is %s', ([text = '', canonical], { expect }) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test('whatever its text was', ({ expect }) => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6().filter(isNotMapped)), (text) => {
        const canonical = canonicalAddress(text);
        expect(canonicalAddress(canonical)).toBe(canonical);
        expect(canonicalAddress(text.toUpperCase())).toBe(canonical);
      }),
    );
  });
});

test.for([
  '',
  '010.0.0.1',
  '10.0.0.08',
  '10.0.0',
  '10.0.0.1.',
  '10.0.0.256',
  '10.0.0.1/32',
  ' 10.0.0.1',
  '10.0.0.1\n',
  '1:2:3:4:5:6:7',
  '1::2::3',
  ':::',
  'fe80::1%eth0',
  '[::1]',
  '::1]@[::2',
  '::0.0.0.01',
  'localhost',
  '0x7f000001',
])('%j is no address', (text, { expect }) => {
  expect(() => canonicalAddress(text)).toThrow(RangeError);
});

test('an IPv4-mapped address must be written as IPv4', ({ expect }) => {
  const message = 'write an IPv4-mapped IPv6 address as IPv4';
  expect(() => canonicalAddress('::ffff:10.0.0.1')).toThrow(`Cannot use "::ffff:10.0.0.1": ${message}`);
  expect(() => canonicalAddress('0:0:0:0:0:FFFF:0a00:1')).toThrow(message);
});

test('only what Node takes for an address is one', ({ expect }) => {
  const texts = fc.sample(fc.oneof(fc.stringMatching(/^[0-9a-f:.]{0,20}$/), fc.string()), 2000);
  expect(texts.filter((text) => isIP(text) === 0 && isAccepted(text))).toEqual([]);
});

function isAccepted(text: string): boolean {
  try {
    canonicalAddress(text);
    return true;
  } catch {
    return false;
  }
}

function isNotMapped(text: string): boolean {
  return !/^(?:0*:){0,5}:?ffff:/i.test(text);
}
