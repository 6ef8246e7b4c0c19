import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import type { IpFamily } from '../../../src/net/family.ts';
import { PROTOCOLS, type Protocol } from '../../../src/net/protocol.ts';
import type { Allow, PeerMatch, PortMatch } from '../../../src/policy/model.ts';
import { setName } from '../../../src/rules/names.ts';
import { profileChains } from '../../../src/rules/iptables/profileChain.ts';
import { profile } from '../../../src/rules/profile.ts';

const any = { kind: 'any' } as const;
const network = (text: string): PeerMatch => ({ kind: 'network', cidr: parseCidr(text) });
const group = (key: string): PeerMatch => ({ kind: 'group', key });
const tcp = (from: number, to = from): PortMatch => ({ kind: 'range', protocol: 'TCP', from, to });
const allow = (peers: PeerMatch, ports: PortMatch | readonly PortMatch[] = any, policy = 'shop/p'): Allow => ({
  peers,
  ports: [ports].flat(),
  policies: [policy],
});

const PODS = 'addresses shop [[],[]]';
const BLOCKS = 'networks 10.0.0.0/8!10.1.0.0/16';
const NAMED = 'addressPorts TCP http shop [[],[]]';

/** The rules of the profile's own chain, with the names of the test's sets for what stands in the kernel. */
function rulesOf(allows: readonly Allow[], direction: 'ingress' | 'egress') {
  const readable = (rule: string) =>
    [PODS, BLOCKS, NAMED].reduce(
      (text, key) => text.replace(setName('ipv4', key), `4[${key}]`).replace(setName('ipv6', key), `6[${key}]`),
      rule,
    );
  const made = profile(allows, direction);
  const own = (family: IpFamily) => (profileChains(made, family)[0]?.rules ?? []).map(readable);
  return { ipv4: own('ipv4'), ipv6: own('ipv6') };
}

describe('peers', () => {
  const cases: readonly Allow[] = [
    allow(any),
    allow(network('192.0.2.0/24')),
    allow(network('192.0.2.1/32')),
    allow(network('0.0.0.0/0')),
    allow(network('2001:db8::/32')),
    allow(network('2001:db8::1/128')),
    allow(network('::/0')),
    allow(group(PODS)),
    allow(group(BLOCKS)),
  ];
  test('of an ingress rule are sources', () => {
    expect(cases.map((one) => rulesOf([one], 'ingress'))).toMatchInlineSnapshot(`
      [
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-s 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-s 192.0.2.1/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-s 2001:db8::/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-s 2001:db8::1/128 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-m set --match-set 6[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[networks 10.0.0.0/8!10.1.0.0/16] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
          "ipv6": [
            "-m set --match-set 6[networks 10.0.0.0/8!10.1.0.0/16] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-INGRESS",
          ],
        },
      ]
    `);
  });

  test('of an egress rule are destinations, named ports with them', () => {
    const named = allow(group(NAMED), { kind: 'inGroup', protocol: 'TCP' });
    expect([...cases, named].map((one) => rulesOf([one], 'egress'))).toMatchInlineSnapshot(`
      [
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-d 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-d 192.0.2.1/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-d 2001:db8::/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-d 2001:db8::1/128 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[addresses shop [[],[]]] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-m set --match-set 6[addresses shop [[],[]]] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[networks 10.0.0.0/8!10.1.0.0/16] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-m set --match-set 6[networks 10.0.0.0/8!10.1.0.0/16] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
        {
          "ipv4": [
            "-p tcp -m set --match-set 4[addressPorts TCP http shop [[],[]]] dst,dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
          "ipv6": [
            "-p tcp -m set --match-set 6[addressPorts TCP http shop [[],[]]] dst,dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT-EGRESS",
          ],
        },
      ]
    `);
  });
});

test('ports', () => {
  const ports: readonly PortMatch[] = [
    any,
    ...PROTOCOLS.flatMap((protocol): readonly PortMatch[] => [
      { kind: 'range', protocol, from: 0, to: 65_535 },
      { kind: 'range', protocol, from: 53, to: 53 },
      { kind: 'range', protocol, from: 8000, to: 8080 },
    ]),
    tcp(1, 65_535),
    tcp(65_535),
  ];
  const rules = ports.flatMap((port) => [
    allow(group(PODS), port),
    allow(network('192.0.2.0/24'), port),
    allow(any, port),
  ]);
  expect(rules.map((rule) => rulesOf([rule], 'ingress').ipv4[0])).toMatchInlineSnapshot(`
    [
      "-m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN",
      "-m comment --comment "shop/p" -j RETURN",
      "-p tcp -m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p tcp -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m set --match-set 4[addresses shop [[],[]]] src -m tcp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p tcp -m tcp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m tcp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m set --match-set 4[addresses shop [[],[]]] src -m tcp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p tcp -m tcp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m tcp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p udp -m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p udp -m comment --comment "shop/p" -j RETURN",
      "-p udp -m comment --comment "shop/p" -j RETURN",
      "-p udp -m set --match-set 4[addresses shop [[],[]]] src -m udp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p udp -m udp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-p udp -m udp --dport 53 -m comment --comment "shop/p" -j RETURN",
      "-p udp -m set --match-set 4[addresses shop [[],[]]] src -m udp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p udp -m udp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p udp -m udp --dport 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p sctp -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m set --match-set 4[addresses shop [[],[]]] src -m multiport --dports 53 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p sctp -m multiport --dports 53 -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m multiport --dports 53 -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m set --match-set 4[addresses shop [[],[]]] src -m multiport --dports 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p sctp -m multiport --dports 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p sctp -m multiport --dports 8000:8080 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m set --match-set 4[addresses shop [[],[]]] src -m tcp --dport 1:65535 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p tcp -m tcp --dport 1:65535 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m tcp --dport 1:65535 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m set --match-set 4[addresses shop [[],[]]] src -m tcp --dport 65535 -m comment --comment "shop/p" -j RETURN",
      "-s 192.0.2.0/24 -p tcp -m tcp --dport 65535 -m comment --comment "shop/p" -j RETURN",
      "-p tcp -m tcp --dport 65535 -m comment --comment "shop/p" -j RETURN",
    ]
  `);
});

describe('several ports', () => {
  const range = (protocol: Protocol, from: number, to = from): PortMatch => ({ kind: 'range', protocol, from, to });
  const singles = (length: number) => Array.from({ length }, (_, index) => tcp(1 + 2 * index));
  const places = ({ length }: { readonly length: number }) => length;

  test('of one protocol are one match, of several one each', () => {
    const ports = [range('SCTP', 1), range('TCP', 80), range('TCP', 8000, 8080), range('UDP', 53)];
    expect(rulesOf([allow(any, ports)], 'ingress').ipv4).toEqual([
      '-p sctp -m multiport --dports 1 -m comment --comment "shop/p" -j RETURN',
      '-p tcp -m multiport --dports 80,8000:8080 -m comment --comment "shop/p" -j RETURN',
      '-p udp -m udp --dport 53 -m comment --comment "shop/p" -j RETURN',
      '-g NWPLCY-REJECT-INGRESS',
    ]);
  });

  test.for([
    { ports: singles(15), matches: [15] },
    { ports: singles(16), matches: [15, 1] },
    { ports: [...singles(14), tcp(100, 101)], matches: [14, 1] },
    { ports: Array.from({ length: 8 }, (_, index) => tcp(10 * index, 10 * index + 1)), matches: [7, 1] },
  ])('$ports.length take as many matches as hold 15 numbers each: $matches', ({ ports, matches }) => {
    const rules = rulesOf([allow(any, ports)], 'ingress').ipv4.slice(0, -1);
    const sizes = rules.map((rule) => places((/dports? (\S+)/.exec(rule)?.[1] ?? '').split(',')));
    expect(sizes.toSorted((a, b) => b - a)).toEqual(matches);
  });
});

describe('more than eight rules', () => {
  const cases = (length: number) => Array.from({ length }, (_, index) => allow(group(`g${index}`), tcp(10 * index)));
  const chainsOf = (allows: readonly Allow[]) => profileChains(profile(allows, 'ingress'), 'ipv4');
  const targetOf = (rule: string) => rule.slice(rule.lastIndexOf(' ') + 1);

  test('that hang on the port are searched by it', () => {
    expect(chainsOf(cases(8)).length).toBe(1);
    const chains = chainsOf(cases(9));
    const [own, ...others] = chains;
    // Two chains on the way, and one for each port.
    expect(others.length).toBe(2 + 9);
    expect(own?.rules.map((rule) => rule.replace(/NWPLCY-\S{20}$/, 'NEXT'))).toEqual([
      '-p tcp -m tcp --dport 0:30 -g NEXT',
      '-p tcp -m tcp --dport 40:80 -g NEXT',
      '-g NWPLCY-REJECT-INGRESS',
    ]);
    expect(chains.every(({ rules }) => rules.at(-1) === '-g NWPLCY-REJECT-INGRESS')).toBe(true);
  });

  test('that do not are left as they are', () => {
    const allows = Array.from({ length: 20 }, (_, index) => allow(group(`g${index}`)));
    expect(chainsOf(allows).map(({ rules }) => rules.length)).toEqual([21]);
  });

  test('that hold for all ports come first', () => {
    const allows = [...cases(9), allow(network('192.0.2.0/24')), allow(network('198.51.100.0/24'))];
    expect(chainsOf(allows)[0]?.rules.slice(0, 2)).toEqual([
      '-s 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN',
      '-s 198.51.100.0/24 -m comment --comment "shop/p" -j RETURN',
    ]);
  });

  test.for([9, 64, 65, 600, 5000])(
    '%i ports: no chain on the way is long, and each stands before those that it leads to',
    (count) => {
      const chains = chainsOf(cases(count));
      const order = new Map(chains.map(({ name }, index) => [name, index]));
      expect(order.size).toBe(chains.length);
      expect(Math.max(...chains.map(({ rules }) => rules.length))).toBeLessThanOrEqual(9);
      for (const [index, { rules }] of chains.entries())
        for (const target of rules.map(targetOf).filter((name) => order.has(name)))
          expect(order.get(target)).toBeGreaterThan(index);
      // From FORWARD on there are 5 chains before these, and 1 behind: the kernel takes 16.
      const depth = (name: string): number =>
        1 +
        Math.max(
          0,
          ...(chains[order.get(name) ?? -1]?.rules ?? [])
            .map(targetOf)
            .filter((to) => order.has(to))
            .map(depth),
        );
      expect(depth(chains[0]?.name ?? '')).toBeLessThanOrEqual(2 + Math.ceil(Math.log(count) / Math.log(8)));
    },
  );
});

describe('a profile', () => {
  test('that allows nothing refuses everything', () => {
    expect(rulesOf([], 'ingress')).toEqual({ ipv4: ['-g NWPLCY-REJECT-INGRESS'], ipv6: ['-g NWPLCY-REJECT-INGRESS'] });
  });

  test('has one rule for what is written the same, which names all policies', () => {
    const allows = ['shop/b', 'shop/a', 'shop/c'].map((policy) => allow(group(PODS), tcp(80), policy));
    expect(rulesOf(allows, 'ingress').ipv4).toEqual([
      `-p tcp -m set --match-set 4[${PODS}] src -m tcp --dport 80 -m comment --comment "shop/a shop/b shop/c" -j RETURN`,
      '-g NWPLCY-REJECT-INGRESS',
    ]);
  });

  test('is the same in whatever order its policies come', () => {
    const allows = [
      allow(group(PODS), tcp(80), 'shop/b'),
      allow(group(PODS), tcp(80), 'shop/a'),
      allow(network('192.0.2.0/24'), tcp(443), 'shop/b'),
      allow(any, tcp(22), 'shop/c'),
    ];
    const profiles = [allows, allows.toReversed(), [...allows.slice(2), ...allows.slice(0, 2)]].map((some) =>
      profile(some, 'ingress'),
    );
    expect(profiles).toEqual([profiles[0], profiles[0], profiles[0]]);
  });

  test('that lets everything of a family pass asks for nothing else there', () => {
    expect(
      rulesOf([allow(group(PODS), tcp(80), 'shop/a'), allow(network('0.0.0.0/0'), any, 'shop/b')], 'ingress'),
    ).toEqual({
      ipv4: ['-m comment --comment "shop/b" -j RETURN', '-g NWPLCY-REJECT-INGRESS'],
      ipv6: [
        `-p tcp -m set --match-set 6[${PODS}] src -m tcp --dport 80 -m comment --comment "shop/a" -j RETURN`,
        '-g NWPLCY-REJECT-INGRESS',
      ],
    });
  });

  test('of ingress is never one of egress', () => {
    expect(profile([], 'ingress').name).not.toBe(profile([], 'egress').name);
  });
});
