import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import { PROTOCOLS } from '../../../src/net/protocol.ts';
import type { Allow, PeerMatch, PortMatch } from '../../../src/policy/model.ts';
import { setName } from '../../../src/rules/names.ts';
import { profileRules } from '../../../src/rules/iptables/profileChain.ts';
import { profile } from '../../../src/rules/profile.ts';

const any = { kind: 'any' } as const;
const network = (text: string): PeerMatch => ({ kind: 'network', cidr: parseCidr(text) });
const group = (key: string): PeerMatch => ({ kind: 'group', key });
const tcp = (from: number, to = from): PortMatch => ({ kind: 'range', protocol: 'TCP', from, to });
const allow = (peers: PeerMatch, ports: PortMatch = any, policy = 'shop/p'): Allow => ({ peers, ports, policy });

const PODS = 'addresses shop [[],[]]';
const BLOCKS = 'networks 10.0.0.0/8!10.1.0.0/16';
const NAMED = 'addressPorts TCP http shop [[],[]]';

/** The rules with the names of the test's sets for what stands in the kernel. */
function rulesOf(allows: readonly Allow[], direction: 'ingress' | 'egress') {
  const readable = (rule: string) =>
    [PODS, BLOCKS, NAMED].reduce(
      (text, key) => text.replace(setName('ipv4', key), `4[${key}]`).replace(setName('ipv6', key), `6[${key}]`),
      rule,
    );
  const made = profile(allows, direction);
  return { ipv4: profileRules(made, 'ipv4').map(readable), ipv6: profileRules(made, 'ipv6').map(readable) };
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
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-s 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-s 192.0.2.1/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-s 2001:db8::/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-s 2001:db8::1/128 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m set --match-set 6[addresses shop [[],[]]] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[networks 10.0.0.0/8!10.1.0.0/16] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m set --match-set 6[networks 10.0.0.0/8!10.1.0.0/16] src -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
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
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-d 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-d 192.0.2.1/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-d 2001:db8::/32 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-d 2001:db8::1/128 -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[addresses shop [[],[]]] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m set --match-set 6[addresses shop [[],[]]] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-m set --match-set 4[networks 10.0.0.0/8!10.1.0.0/16] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-m set --match-set 6[networks 10.0.0.0/8!10.1.0.0/16] dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
        },
        {
          "ipv4": [
            "-p tcp -m set --match-set 4[addressPorts TCP http shop [[],[]]] dst,dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
          ],
          "ipv6": [
            "-p tcp -m set --match-set 6[addressPorts TCP http shop [[],[]]] dst,dst -m comment --comment "shop/p" -j RETURN",
            "-g NWPLCY-REJECT",
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

describe('a profile', () => {
  test('that allows nothing refuses everything', () => {
    expect(rulesOf([], 'ingress')).toEqual({ ipv4: ['-g NWPLCY-REJECT'], ipv6: ['-g NWPLCY-REJECT'] });
  });

  test('has one rule for equal allows, which names the first policy', () => {
    const allows = ['shop/b', 'shop/a', 'shop/c'].map((policy) => allow(group(PODS), tcp(80), policy));
    expect(rulesOf(allows, 'ingress').ipv4).toEqual([
      `-p tcp -m set --match-set 4[${PODS}] src -m tcp --dport 80 -m comment --comment "shop/a" -j RETURN`,
      '-g NWPLCY-REJECT',
    ]);
  });

  test('is the same in whatever order its policies come', () => {
    const allows = [
      allow(group(PODS), tcp(80), 'shop/b'),
      allow(group(PODS), tcp(80), 'shop/a'),
      allow(network('192.0.2.0/24'), tcp(443), 'shop/b'),
      allow(any, tcp(22), 'shop/c'),
    ];
    const profiles = [allows, allows.toReversed(), [...allows.slice(2), ...allows]].map((some) =>
      profile(some, 'ingress'),
    );
    expect(profiles).toEqual([profiles[0], profiles[0], profiles[0]]);
  });

  test('that lets everything of a family pass asks for nothing else there', () => {
    expect(
      rulesOf([allow(group(PODS), tcp(80), 'shop/a'), allow(network('0.0.0.0/0'), any, 'shop/b')], 'ingress'),
    ).toEqual({
      ipv4: ['-m comment --comment "shop/b" -j RETURN', '-g NWPLCY-REJECT'],
      ipv6: [
        `-p tcp -m set --match-set 6[${PODS}] src -m tcp --dport 80 -m comment --comment "shop/a" -j RETURN`,
        '-g NWPLCY-REJECT',
      ],
    });
  });

  test('of ingress is never one of egress', () => {
    expect(profile([], 'ingress').name).not.toBe(profile([], 'egress').name);
  });
});
