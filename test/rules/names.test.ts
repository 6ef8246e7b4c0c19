import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IP_FAMILIES } from '../../src/net/family.ts';
import { STANDING_CHAINS } from '../../src/rules/iptables/entryChains.ts';
import {
  ENTRY_CHAIN,
  isOurSet,
  isPodChain,
  isProfileChain,
  podChainName,
  profileName,
  setName,
} from '../../src/rules/names.ts';

const anyText = (maxLength: number) =>
  fc.array(fc.nat(0xffff), { maxLength }).map((codes) => String.fromCharCode(...codes));

const DIRECTIONS = ['ingress', 'egress'] as const;

// An agent of the next version must recognise what this one left in the kernel: a name here that has to be changed is a mistake there.
test('names never change', () => {
  expect(STANDING_CHAINS).toEqual([
    'NWPLCY-REJECT',
    'NWPLCY-REJECT-EGRESS',
    'NWPLCY-REJECT-INGRESS',
    'NWPLCY-AUDIT-EGRESS',
    'NWPLCY-AUDIT-INGRESS',
    'NWPLCY-PROFILES',
    'NWPLCY-SOURCES',
    'NWPLCY-EGRESS',
    'NWPLCY-INGRESS',
    'KUBE-NWPLCY-CHAIN',
  ]);
  const attachment = { containerId: 'b1946ac92492d2347c6235b4d2611184', ifName: 'eth0' };
  expect(DIRECTIONS.map((direction) => podChainName(direction, attachment))).toEqual([
    'NWPLCY-PI-W7WF6VPKXPOYIYGO5S',
    'NWPLCY-PE-W7WF6VPKXPOYIYGO5S',
  ]);
  const content = ['ipv4', '-p tcp -j RETURN', '-g NWPLCY-REJECT', 'ipv6', '-g NWPLCY-REJECT'];
  expect(DIRECTIONS.map((direction) => profileName(direction, content))).toEqual([
    'NWPLCY-N54IQ3Y6CBDYN3D5JPGT',
    'NWPLCY-3UKBJVPHQ6FD7LX6PROW',
  ]);
  expect(IP_FAMILIES.map((family) => setName(family, 'addresses shop [[],[]]'))).toEqual([
    'NWPLCY4-2OF7VWALDCQGHUP3ILHN',
    'NWPLCY6-5KKCEGYMMIMXHPXLY2HW',
  ]);
});

test('names fit: 28 characters for a chain, 31 for a set, nothing but capital letters, digits and dashes', () => {
  fc.assert(
    fc.property(anyText(300), anyText(20), (text, other) => {
      const chains = DIRECTIONS.flatMap((direction) => [
        podChainName(direction, { containerId: text, ifName: other }),
        profileName(direction, [text, other]),
      ]);
      for (const name of chains) expect(name).toMatch(/^NWPLCY-[A-Z0-9-]{1,21}$/);
      for (const family of IP_FAMILIES) expect(setName(family, text)).toMatch(/^NWPLCY[46]-[A-Z0-9]{1,23}$/);
    }),
  );
});

test('different inputs have different names', () => {
  const names = new Map<string, string>();
  const note = (name: string, input: unknown) => {
    const text = JSON.stringify(input);
    expect(names.get(name) ?? text).toBe(text);
    names.set(name, text);
  };
  // What was once put together by gluing texts could collide where the seam can move.
  const texts = ['', 'a', 'b', 'ab', 'ba', 'eth0', 'a\n', 'ipv4', 'ipv6', '-j RETURN'];
  for (const a of texts) {
    for (const b of texts) {
      for (const direction of DIRECTIONS) {
        note(podChainName(direction, { containerId: a, ifName: b }), ['pod', direction, a, b]);
      }
    }
    for (const family of IP_FAMILIES) note(setName(family, a), ['set', family, a]);
  }
  fc.assert(
    fc.property(fc.constantFrom(...DIRECTIONS), fc.uuid(), fc.nat(), (direction, uuid, number) => {
      const attachment = { containerId: uuid.replaceAll('-', ''), ifName: `eth${number}` };
      note(podChainName(direction, attachment), ['pod', direction, attachment.containerId, attachment.ifName]);
      const content = [`-s ${number}`, uuid];
      note(profileName(direction, content), ['profile', direction, content]);
      note(setName('ipv4', uuid), ['set', 'ipv4', uuid]);
    }),
    { numRuns: 5000 },
  );
});

test('a profile’s name tells its direction and each line of its content', () => {
  const lines = ['[{"kind":"any"},{"kind":"any"}] shop/p', '[{"kind":"any"},{"kind":"any"}] shop/q'];
  const contents = [[], lines, lines.slice(0, 1), lines.slice(1), lines.toReversed(), [lines.join(' ')]];
  const names = DIRECTIONS.flatMap((direction) => contents.map((content) => profileName(direction, content)));
  expect(new Set(names).size).toBe(names.length);
});

describe('what is ours is told by its name alone', () => {
  const pods = DIRECTIONS.map((direction) => podChainName(direction, { containerId: 'c', ifName: 'eth0' }));
  const profile = profileName('ingress', []);
  const sets = IP_FAMILIES.map((family) => setName(family, 'key'));
  const foreign = [
    '',
    'NWPLCY-',
    'FORWARD',
    'KUBE-FORWARD',
    'cali-PI',
    'NWPLCY-PIX',
    'NWPLCY-AAAAAAAAAAAAAAAAAAA',
    'NWPLCY-AAAAAAAAAAAAAAAAAAAAA',
    'NWPLCY-aaaaaaaaaaaaaaaaaaaa',
    'XNWPLCY-AAAAAAAAAAAAAAAAAAAA',
    'NWPLCY-AAAAAAAAAAAAAAAAAAAA\n',
    'NWPLCY4-1AAAAAAAAAAAAAAAAAAA',
    'NWPLCY5-AAAAAAAAAAAAAAAAAAAA',
  ];
  const all = [...pods, profile, ...sets, ...STANDING_CHAINS, ENTRY_CHAIN, ...foreign];

  test.for([
    { predicate: isPodChain, yes: pods },
    { predicate: isProfileChain, yes: [profile] },
    { predicate: isOurSet, yes: sets },
  ])('$predicate.name', ({ predicate, yes }) => {
    expect(all.filter(predicate)).toEqual(yes);
  });
});
