import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalRange, networksOf, rangesOf } from '../../src/net/addressRange.ts';
import { addressBits, cidrContains, firstValue, parseCidr, prefixOf, valueOf, type Cidr } from '../../src/net/cidr.ts';
import { IP_FAMILIES, type IpFamily } from '../../src/net/family.ts';
import { ipText } from '../helpers/ipText.ts';

// Few addresses and many prefixes: networks are within each other, side by side, and the same.
const SEEDS: Readonly<Record<IpFamily, readonly bigint[]>> = {
  ipv4: [0n, 1n, 0x0a000000n, 0x0a0000ffn, 0x0a000100n, 0x7fffffffn, 0x80000000n, 0xfffffffen, 0xffffffffn],
  ipv6: [
    0n,
    1n,
    (1n << 127n) - 1n,
    1n << 127n,
    0xfd00n << 112n,
    (0xfd00n << 112n) + 256n,
    (1n << 128n) - 2n,
    (1n << 128n) - 1n,
  ],
};

function networks(family: IpFamily): fc.Arbitrary<Cidr> {
  const bits = addressBits(family);
  const prefix = fc.oneof(
    fc.nat(bits),
    fc.constantFrom(0, 1, bits - 1, bits),
    fc.integer({ min: bits - 8, max: bits }),
  );
  const near = fc.tuple(fc.constantFrom(...SEEDS[family]), fc.bigInt(0n, 1023n)).map(([seed, offset]) => seed ^ offset);
  return fc.tuple(near, prefix).map(([value, length]) => parseCidr(`${ipText(value, family)}/${length}`));
}

const cases = fc.constantFrom(...IP_FAMILIES).chain((family) =>
  fc.record({
    family: fc.constant(family),
    blocks: fc.array(fc.record({ cidr: networks(family), except: fc.array(networks(family), { maxLength: 3 }) }), {
      maxLength: 5,
    }),
  }),
);

interface Block {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

function networksIn(blocks: readonly Block[]): readonly Cidr[] {
  return blocks.flatMap(({ cidr, except }) => [cidr, ...except]);
}

function boundsOf(text: string, family: IpFamily): readonly [bigint, bigint] {
  const [from = '', to] = text.split('-');
  if (to !== undefined) return [valueOf(from), valueOf(to)];
  const cidr = parseCidr(from.includes('/') ? from : `${from}/${addressBits(family)}`);
  return [firstValue(cidr), lastOf(cidr)];
}

function lastOf(cidr: Cidr): bigint {
  return firstValue(cidr) + (1n << BigInt(addressBits(cidr.family) - prefixOf(cidr))) - 1n;
}

describe('the ranges of networks without their exceptions', { timeout: 60_000 }, () => {
  test('hold an address just where a network does and none of its own exceptions: at every edge, and beside it', () => {
    fc.assert(
      fc.property(cases, ({ family, blocks }) => {
        const bounds = rangesOf(blocks, family).map((text) => boundsOf(text, family));
        const end = 1n << BigInt(addressBits(family));
        const edges = networksIn(blocks).flatMap((cidr) => [firstValue(cidr), lastOf(cidr)]);
        for (const value of edges
          .flatMap((edge) => [edge - 1n, edge, edge + 1n])
          .filter((one) => one >= 0n && one < end)) {
          const address = ipText(value, family);
          const holds = (cidr: Cidr) => cidrContains(cidr, address);
          const isIn = bounds.some(([first, last]) => first <= value && value <= last);
          expect(isIn, address).toBe(blocks.some(({ cidr, except }) => holds(cidr) && !except.some(holds)));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('are sorted, and neither overlap nor touch', () => {
    fc.assert(
      fc.property(cases, ({ family, blocks }) => {
        const bounds = rangesOf(blocks, family).map((text) => boundsOf(text, family));
        for (const [index, [first, last]] of bounds.entries()) {
          expect(first <= last).toBe(true);
          expect(first > (bounds[index - 1]?.[1] ?? -2n) + 1n).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('do not hang on the order, nor on networks of the other family', () => {
    fc.assert(
      fc.property(cases, cases, ({ family, blocks }, other) => {
        const foreign = networksIn(other.blocks).filter((cidr) => cidr.family !== family);
        const mixed = [
          ...foreign.map((cidr) => ({ cidr, except: [] })),
          ...blocks.toReversed().map(({ cidr, except }) => ({ cidr, except: [...foreign, ...except.toReversed()] })),
        ];
        expect(rangesOf(mixed, family)).toEqual(rangesOf(blocks, family));
      }),
    );
  });

  test.for<{
    readonly cidrs: readonly string[];
    readonly except?: readonly string[];
    readonly ranges: readonly string[];
  }>([
    { cidrs: [], ranges: [] },
    { cidrs: ['0.0.0.0/0'], ranges: ['0.0.0.0/0'] },
    { cidrs: ['::/0'], ranges: ['::/0'] },
    { cidrs: ['10.0.0.1/32'], ranges: ['10.0.0.1'] },
    { cidrs: ['fd00::1/128'], ranges: ['fd00::1'] },
    { cidrs: ['10.0.0.0/25', '10.0.0.128/25'], ranges: ['10.0.0.0/24'] },
    { cidrs: ['10.0.0.128/25', '10.0.1.0/25'], ranges: ['10.0.0.128-10.0.1.127'] },
    { cidrs: ['10.0.0.0/8', '10.1.0.0/16'], ranges: ['10.0.0.0/8'] },
    { cidrs: ['10.0.0.0/24'], except: ['10.0.0.0/24'], ranges: [] },
    { cidrs: ['10.0.0.0/24'], except: ['0.0.0.0/0'], ranges: [] },
    { cidrs: ['10.0.0.0/24'], except: ['10.0.0.0/25'], ranges: ['10.0.0.128/25'] },
    { cidrs: ['10.0.0.0/30'], except: ['10.0.0.1/32', '10.0.0.2/32'], ranges: ['10.0.0.0', '10.0.0.3'] },
    { cidrs: ['255.255.255.252/30'], except: ['255.255.255.255/32'], ranges: ['255.255.255.252-255.255.255.254'] },
    { cidrs: ['0.0.0.0/0'], except: ['0.0.0.0/32', '128.0.0.0/1'], ranges: ['0.0.0.1-127.255.255.255'] },
    { cidrs: ['fd00::/126'], except: ['fd00::/128'], ranges: ['fd00::1-fd00::3'] },
  ])('$cidrs but $except are $ranges', ({ cidrs, except = [], ranges }) => {
    const family = cidrs.some((text) => text.includes(':')) ? 'ipv6' : 'ipv4';
    const holes = except.map(parseCidr);
    expect(
      rangesOf(
        cidrs.map((text) => ({ cidr: parseCidr(text), except: holes })),
        family,
      ),
    ).toEqual(ranges);
  });

  test('are cut out of one network and not of its neighbour', () => {
    const [wide, narrow, hole] = ['10.0.0.0/8', '10.1.2.0/24', '10.1.0.0/16'].map(parseCidr) as [Cidr, Cidr, Cidr];
    expect(
      rangesOf(
        [
          { cidr: wide, except: [hole] },
          { cidr: narrow, except: [] },
        ],
        'ipv4',
      ),
    ).toEqual(['10.0.0.0/16', '10.1.2.0/24', '10.2.0.0-10.255.255.255']);
  });
});

describe('the networks of networks without their exceptions', { timeout: 60_000 }, () => {
  test('are the ranges, each in as few as it takes', () => {
    fc.assert(
      fc.property(cases, ({ family, blocks }) => {
        const found = networksOf(blocks, family);
        expect(
          rangesOf(
            found.map((cidr) => ({ cidr, except: [] })),
            family,
          ),
        ).toEqual(rangesOf(blocks, family));
        // Neither do any overlap, nor are two the halves of one.
        for (const [index, cidr] of found.entries()) {
          const next = found[index + 1];
          if (next === undefined) continue;
          expect(lastOf(cidr) < firstValue(next)).toBe(true);
          const size = 2n * (lastOf(cidr) - firstValue(cidr) + 1n);
          const areHalves =
            prefixOf(cidr) === prefixOf(next) &&
            firstValue(cidr) % size === 0n &&
            firstValue(next) === lastOf(cidr) + 1n;
          expect(areHalves).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.for([
    { cidrs: ['10.0.0.1/32'], networks: ['10.0.0.1/32'] },
    { cidrs: ['0.0.0.0/0', '10.0.0.0/8'], networks: ['0.0.0.0/0'] },
    { cidrs: ['10.0.0.0/25', '10.0.0.128/25'], networks: ['10.0.0.0/24'] },
    { cidrs: ['10.0.0.128/25', '10.0.1.0/24'], networks: ['10.0.0.128/25', '10.0.1.0/24'] },
  ])('$cidrs are $networks', ({ cidrs, networks: wanted }) => {
    const blocks = cidrs.map((text) => ({ cidr: parseCidr(text), except: [] }));
    expect(networksOf(blocks, 'ipv4').map(({ text }) => text)).toEqual(wanted);
  });
});

describe('a range has one text', { timeout: 60_000 }, () => {
  test('however it is written', () => {
    fc.assert(
      fc.property(cases, ({ family, blocks }) => {
        for (const text of rangesOf(blocks, family)) {
          const [first, last] = boundsOf(text, family).map((value) => ipText(value, family));
          expect([canonicalRange(text), canonicalRange(`${first}-${last}`)]).toEqual([text, text]);
        }
      }),
    );
  });

  test('and what is no range has none', () => {
    expect(() => canonicalRange('what-ever')).toThrow('octets');
  });
});

test('what is left of a network may begin or end with an address that embeds IPv4', () => {
  const [all, hole] = [parseCidr('::/0'), parseCidr('::fffe:0:0/96')];
  expect(rangesOf([{ cidr: all, except: [hole] }], 'ipv6')).toEqual([
    '::-::fffd:ffff:ffff',
    '::ffff:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ]);
});
