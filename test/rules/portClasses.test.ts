import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PROTOCOLS, type Protocol } from '../../src/net/protocol.ts';
import type { Allow, PortMatch, PortRange } from '../../src/policy/model.ts';
import { unionOfPorts } from '../../src/policy/portRanges.ts';
import { portClasses } from '../../src/rules/portClasses.ts';
import { profile } from '../../src/rules/profile.ts';

// Few numbers, and the first and last that there are: ranges touch, overlap and are within each other.
const NUMBERS = [0, 1, 2, 3, 80, 81, 82, 65_534, 65_535];

const range: fc.Arbitrary<PortMatch> = fc
  .record({
    protocol: fc.constantFrom(...PROTOCOLS),
    one: fc.constantFrom(...NUMBERS),
    other: fc.constantFrom(...NUMBERS),
  })
  .map(({ protocol, one, other }) => ({
    kind: 'range',
    protocol,
    from: Math.min(one, other),
    to: Math.max(one, other),
  }));

const ports: fc.Arbitrary<readonly PortMatch[]> = fc
  .oneof(
    { weight: 8, arbitrary: fc.array(range, { minLength: 1, maxLength: 4 }) },
    fc.constantFrom<readonly PortMatch[]>([{ kind: 'any' }], [{ kind: 'inGroup', protocol: 'TCP' }]),
  )
  .map(unionOfPorts);

const allows: fc.Arbitrary<readonly Allow[]> = fc.array(ports, { maxLength: 7 }).map((lists) =>
  lists.map((list, index) => ({
    peers: { kind: 'group', key: `g${index}` },
    ports: list,
    policies: [`shop/${index}`],
  })),
);

function isIn({ protocol, from, to }: PortRange, at: { readonly protocol: Protocol; readonly port: number }): boolean {
  return protocol === at.protocol && from <= at.port && at.port <= to;
}

function namesOf(some: readonly Allow[]): readonly string[] {
  return some.flatMap((allow) => allow.policies).toSorted();
}

test('each port has just the peers that it is open for', () => {
  fc.assert(
    fc.property(allows, (some) => {
      const split = portClasses(profile(some, 'ingress'));
      if (split === undefined) return;
      expect(namesOf(split.always)).toEqual(
        namesOf(some.filter((allow) => allow.ports.some(({ kind }) => kind !== 'range'))),
      );
      for (const protocol of PROTOCOLS)
        for (const port of NUMBERS) {
          const at = { protocol, port };
          const found = split.classes.filter((one) => isIn(one.range, at));
          const open = some.filter((allow) => allow.ports.some((match) => match.kind === 'range' && isIn(match, at)));
          expect(found.length).toBe(open.length > 0 ? 1 : 0);
          expect(namesOf(found.flatMap((one) => one.profile.allows))).toEqual(namesOf(open));
        }
    }),
    { numRuns: 500 },
  );
});

test('ranges come by protocol and number, and those with the same peers have one profile, for any port', () => {
  fc.assert(
    fc.property(allows, (some) => {
      const classes = portClasses(profile(some, 'egress'))?.classes ?? [];
      const starts = classes.map(({ range: { protocol, from } }) => PROTOCOLS.indexOf(protocol) * 65_536 + from);
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
      const profiles = new Set(classes.map((one) => one.profile));
      expect(new Set([...profiles].map(({ name }) => name)).size).toBe(profiles.size);
      for (const one of profiles) {
        expect(one.direction).toBe('egress');
        expect(one.allows.every((allow) => allow.ports.length === 1 && allow.ports[0]?.kind === 'any')).toBe(true);
      }
    }),
  );
});

test('what has a port in common with everybody else is copied into each class', () => {
  const split = portClasses(
    profile(
      Array.from({ length: 50 }, (_, index) => allowOf(index, [tcp(80), tcp(1000 + 2 * index)])),
      'ingress',
    ),
  );
  expect(split?.classes.length).toBe(51);
});

test('what overlaps so much that it would only grow is not taken apart', () => {
  const nested = Array.from({ length: 50 }, (_, index) => allowOf(index, [tcp(index, 1000 - index)]));
  expect(portClasses(profile(nested, 'ingress'))).toBeUndefined();
});

function tcp(from: number, to = from): PortMatch {
  return { kind: 'range', protocol: 'TCP', from, to };
}

function allowOf(index: number, list: readonly PortMatch[]): Allow {
  return { peers: { kind: 'group', key: `g${index}` }, ports: list, policies: ['shop/p'] };
}
