import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../src/net/cidr.ts';
import type { Allow, PeerMatch, PortMatch } from '../../src/policy/model.ts';
import { profile } from '../../src/rules/profile.ts';

const PEERS: readonly PeerMatch[] = [
  { kind: 'any' },
  ...['192.0.2.0/24', '192.0.2.0/25', '0.0.0.0/0', '2001:db8::/32', '::/0'].map((text): PeerMatch => {
    return { kind: 'network', cidr: parseCidr(text) };
  }),
  { kind: 'group', key: 'addresses shop [[],[]]' },
  { kind: 'group', key: 'addresses bank [[],[]]' },
];
const PORTS: readonly PortMatch[] = [
  { kind: 'any' },
  { kind: 'inGroup', protocol: 'TCP' },
  { kind: 'inGroup', protocol: 'UDP' },
  { kind: 'range', protocol: 'TCP', from: 80, to: 80 },
  { kind: 'range', protocol: 'TCP', from: 80, to: 81 },
  { kind: 'range', protocol: 'UDP', from: 80, to: 80 },
];
const POLICIES = ['shop/a', 'shop/b', 'shop/c'];
const MATCHES = PEERS.flatMap((peers) => PORTS.map((port) => ({ peers, ports: [port] })));

const allows: fc.Arbitrary<readonly Allow[]> = fc
  .uniqueArray(
    fc.record({
      match: fc.constantFrom(...MATCHES),
      policies: fc.subarray(POLICIES, { minLength: 1 }),
    }),
    { maxLength: 4, selector: ({ match }) => match },
  )
  .map((some) => some.map(({ match, policies }) => ({ ...match, policies })));

/** What these allows come to, told without a text of their own: each match by its number, with its policies. */
function contentOf(some: readonly Allow[]): ReadonlyMap<number, string> {
  return new Map(
    some.map(({ ports, peers, policies }) => [
      MATCHES.findIndex((match) => match.peers === peers && match.ports === ports),
      policies.join(),
    ]),
  );
}

function isSame(a: ReadonlyMap<number, string>, b: ReadonlyMap<number, string>): boolean {
  return a.size === b.size && [...a].every(([number, policies]) => b.get(number) === policies);
}

describe('a profile', () => {
  test('allows what it was given, whatever the order', () => {
    fc.assert(
      fc.property(
        allows.chain((some) => fc.tuple(fc.constant(some), fc.shuffledSubarray([...some], { minLength: some.length }))),
        ([some, shuffled]) => {
          const made = profile(some, 'egress');
          expect(isSame(contentOf(made.allows), contentOf(some))).toBe(true);
          expect(profile(shuffled, 'egress')).toEqual(made);
        },
      ),
    );
  });

  test('has a name of its own unless all that it allows is the same', () => {
    const seen = new Map<string, ReadonlyMap<number, string>>();
    fc.assert(
      fc.property(allows, (some) => {
        const { name } = profile(some, 'ingress');
        const content = contentOf(some);
        expect(isSame(seen.get(name) ?? content, content)).toBe(true);
        seen.set(name, content);
      }),
      { numRuns: 2000 },
    );
    expect(seen.size).toBeGreaterThan(500);
  });

  test('is told by each of its matches and policies', () => {
    const names = MATCHES.flatMap((match) =>
      POLICIES.map((policy) => profile([{ ...match, policies: [policy] }], 'ingress').name),
    );
    expect(new Set([...names, profile([], 'ingress').name]).size).toBe(MATCHES.length * POLICIES.length + 1);
  });

  test('of ingress is never one of egress', () => {
    fc.assert(
      fc.property(allows, (some) => {
        expect(profile(some, 'ingress').name).not.toBe(profile(some, 'egress').name);
      }),
    );
  });
});
