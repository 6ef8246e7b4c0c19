import { describe, expect, test } from 'vitest';
import { NftRuleset } from './nftRuleset.ts';
import type { Packet } from '../../src/trace/packet.ts';
import { packet } from './packet.ts';
import { traceNft } from './traceNft.ts';

// The shape of the tables by hand: pod web (10.1.0.2, fd00::2) admits the set of clients on 6379, pod db (10.1.0.3) may reach nothing but the network
// 10.9.0.0/16 without 10.9.9.0/24 and a named port of web. Interface ptp9 is that of pod 10.1.0.9, bridge port vethdb that of db.
const ruleset = NftRuleset.of(`
table inet kube-nwplcy {
  map ingress4 { type ipv4_addr : verdict; elements = { 10.1.0.2 comment "shop/web" : goto to-web } }
  map ingress6 { type ipv6_addr : verdict; elements = { fd00::2 comment "shop/web" : goto to-web } }
  map egress4 { type ipv4_addr : verdict; elements = { 10.1.0.3 comment "shop/db" : goto from-db } }
  map egress6 { type ipv6_addr : verdict; }
  set interfaces { type ifname; elements = { "ptp9" } }
  set sources4 { type ifname . ipv4_addr; elements = { "ptp9" . 10.1.0.9 } }
  set sources6 { type ifname . ipv6_addr; elements = { "ptp9" . fd00::9 } }
  set peers4-clients { type ipv4_addr; elements = { 10.1.0.7 } }
  set peers6-clients { type ipv6_addr; elements = { fd00::7 } }
  set peers4-network { type ipv4_addr; flags interval; elements = { 10.9.0.0-10.9.8.255, 10.9.10.0-10.9.255.255 } }
  set peers4-named { type ipv4_addr . inet_service; elements = { 10.1.0.2 . 6379 } }
  chain refuse {
    ct state invalid drop
    meta l4proto tcp ct state new ct status dnat reject
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain judged { ct mark 0x00010000/16 accept; return; }
  chain settle { ct mark set ct mark & 0x0001ffff | 0x00010000; return; }
  chain from-pods { ip saddr vmap @egress4; ip6 saddr vmap @egress6; }
  chain to-pods { ip daddr vmap @ingress4; ip6 daddr vmap @ingress6; }
  chain policies {
    jump judged
    ct direction reply ct state established,related accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
    jump from-pods
    jump to-pods
    jump settle
  }
  chain forward { type filter hook forward priority filter - 10; policy accept; jump policies; }
  chain output { type filter hook output priority filter - 10; policy accept; fib saddr type != local jump policies; }
  chain prerouting { type filter hook prerouting priority raw; policy accept; iifname @interfaces jump sources; }
  chain sources {
    iifname . ip saddr @sources4 return
    iifname . ip6 saddr @sources6 return
    ip6 saddr fe80::/10 icmpv6 type != { nd-router-advert, nd-redirect } return
    drop
  }
  chain to-web { ip saddr 10.1.0.2 return; ip6 saddr fd00::2 return; goto profile-clients; }
  chain from-db { ip daddr 10.1.0.3 return; goto profile-network; }
  chain profile-clients {
    ip saddr @peers4-clients tcp dport 6379 return comment "shop/allow"
    ip6 saddr @peers6-clients tcp dport 6379 return comment "shop/allow"
    goto refuse
  }
  chain profile-network {
    ip daddr @peers4-network return comment "shop/network"
    ip daddr . tcp dport @peers4-named return comment "shop/named"
    goto refuse
  }
}
table bridge kube-nwplcy {
  set interfaces { type ifname; elements = { "vethdb" } }
  set sources4 { type ifname . ipv4_addr; elements = { "vethdb" . 10.1.0.3 } }
  set sources6 { type ifname . ipv6_addr; elements = { "vethdb" . fd00::3 } }
  chain prerouting { type filter hook prerouting priority dstnat; policy accept; iifname @interfaces jump sources; }
  chain forward {
    type filter hook forward priority -300; policy accept
    iifname @interfaces ip6 saddr fe80::/10 icmpv6 type != { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } drop
    ether type { 8021q, 8021ad, 0x8864 } drop
  }
  chain sources {
    iifname . ip saddr @sources4 return
    iifname . arp saddr ip @sources4 return
    iifname . ip6 saddr @sources6 return
    ip6 saddr fe80::/10 return
    ip saddr 0.0.0.0 udp dport 67 return
    drop
  }
}
`);

const toWeb = { source: '10.1.0.7', destination: '10.1.0.2', destinationPort: 6379 } as const;
const toWeb6 = { family: 'ipv6', source: 'fd00::7', destination: 'fd00::2', destinationPort: 6379 } as const;
const fromDb = { source: '10.1.0.3', inInterface: 'cni0', physdevIn: 'vethdb' } as const;
const fromPtp = { inInterface: 'ptp9', source: '10.1.0.9' } as const;

interface Case {
  readonly name: string;
  readonly packet: Partial<Packet>;
  readonly verdict: 'accept' | 'reject' | 'drop';
  readonly mark: number;
}

describe('tables of the designed shape', () => {
  test.for<Case>([
    { name: 'pass what no map holds', packet: {}, verdict: 'accept', mark: 0x10000 },
    { name: 'pass what a rule allows', packet: toWeb, verdict: 'accept', mark: 0x10000 },
    { name: 'keep the bits of others', packet: { ...toWeb, connmark: 0x42 }, verdict: 'accept', mark: 0x10042 },
    { name: 'settle over an older mark', packet: { ...toWeb, connmark: 0xfff20042 }, verdict: 'accept', mark: 0x10042 },
    { name: 'pass over IPv6', packet: toWeb6, verdict: 'accept', mark: 0x10000 },
    { name: 'refuse over IPv6', packet: { ...toWeb6, source: 'fd00::8' }, verdict: 'reject', mark: 0 },
    { name: 'refuse another port', packet: { ...toWeb, destinationPort: 6380 }, verdict: 'reject', mark: 0 },
    { name: 'refuse another protocol', packet: { ...toWeb, protocol: 'udp' }, verdict: 'reject', mark: 0 },
    { name: 'refuse ICMP', packet: { ...toWeb, protocol: 'icmp' }, verdict: 'reject', mark: 0 },
    { name: 'refuse another source', packet: { ...toWeb, source: '10.1.0.8' }, verdict: 'reject', mark: 0 },
    {
      name: 'pass a pod to itself',
      packet: { ...toWeb, source: '10.1.0.2', destinationPort: 1 },
      verdict: 'accept',
      mark: 0x10000,
    },
    {
      name: 'pass a judged flow',
      packet: { ...toWeb, source: '10.1.0.8', connmark: 0x10005 },
      verdict: 'accept',
      mark: 0x10005,
    },
    {
      name: 'judge a flow of another generation',
      packet: { ...toWeb, source: '10.1.0.8', connmark: 0x20000 },
      verdict: 'reject',
      mark: 0x20000,
    },
    {
      name: 'pass replies',
      packet: { ...toWeb, source: '10.1.0.8', ctstate: 'ESTABLISHED', ctdir: 'REPLY' },
      verdict: 'accept',
      mark: 0,
    },
    {
      name: 'take no original direction for a reply',
      packet: { ...toWeb, source: '10.1.0.8', ctstate: 'ESTABLISHED' },
      verdict: 'reject',
      mark: 0,
    },
    {
      name: 'drop what conntrack calls invalid',
      packet: { ...toWeb, source: '10.1.0.8', ctstate: 'INVALID', connmark: 0x10000 },
      verdict: 'drop',
      mark: 0x10000,
    },
    { name: 'mark no flow where there is none', packet: { ctstate: 'UNTRACKED' }, verdict: 'accept', mark: 0 },
    {
      name: 'pass neighbour discovery',
      packet: { ...toWeb6, source: 'fd00::8', protocol: 'ipv6-icmp', icmpType: 135 },
      verdict: 'accept',
      mark: 0,
    },
    {
      name: 'refuse other ICMPv6',
      packet: { ...toWeb6, source: 'fd00::8', protocol: 'ipv6-icmp', icmpType: 128 },
      verdict: 'reject',
      mark: 0,
    },
    { name: 'pass a network', packet: { ...fromDb, destination: '10.9.8.255' }, verdict: 'accept', mark: 0x10000 },
    { name: 'refuse its exception', packet: { ...fromDb, destination: '10.9.9.0' }, verdict: 'reject', mark: 0 },
    {
      name: 'need address and port together',
      packet: { ...fromDb, destination: '10.1.0.2', destinationPort: 6380 },
      verdict: 'reject',
      mark: 0,
    },
    {
      name: 'judge both ends',
      packet: { ...fromDb, destination: '10.1.0.2', destinationPort: 6379 },
      verdict: 'reject',
      mark: 0,
    },
    {
      name: 'judge what is forwarded by output',
      packet: { ...toWeb, hook: 'OUTPUT', source: '10.1.0.8' },
      verdict: 'reject',
      mark: 0,
    },
    {
      name: "leave the node's own traffic alone",
      packet: { ...toWeb, hook: 'OUTPUT', source: '10.1.0.1', srcLocal: true, inInterface: undefined },
      verdict: 'accept',
      mark: 0,
    },
    { name: 'pass the source of a routed interface', packet: fromPtp, verdict: 'accept', mark: 0x10000 },
    { name: 'drop a forged one', packet: { ...fromPtp, source: '10.1.0.8' }, verdict: 'drop', mark: 0 },
    {
      name: 'drop a forged one on its way to the node',
      packet: { ...fromPtp, hook: 'OUTPUT', source: 'fd00::8', destination: 'fd00::1', family: 'ipv6' },
      verdict: 'drop',
      mark: 0,
    },
    {
      name: 'drop a forged source of a bridge port',
      packet: { ...fromDb, source: '10.1.0.7' },
      verdict: 'drop',
      mark: 0,
    },
    { name: 'pass ARP of a port', packet: { ...fromDb, etherType: 'arp' }, verdict: 'accept', mark: 0 },
    {
      name: 'drop forged ARP of a port',
      packet: { ...fromDb, source: '10.1.0.7', etherType: 'arp' },
      verdict: 'drop',
      mark: 0,
    },
    { name: 'drop PPPoE', packet: { ...fromDb, etherType: 0x8864 }, verdict: 'drop', mark: 0 },
    { name: 'see the source behind a tag', packet: { ...fromDb, etherType: '8021q' }, verdict: 'accept', mark: 0 },
    {
      name: 'drop what is bridged behind a tag',
      packet: { ...fromDb, etherType: '8021q', bridged: true },
      verdict: 'drop',
      mark: 0,
    },
  ])('$name', ({ packet: tweaks, verdict, mark }) => {
    const trace = traceNft(ruleset, packet(tweaks));
    expect(trace).toEqual({ verdict, mark, matchedRules: trace.matchedRules });
  });

  test('a listing reads like what was written', () => {
    const listing = [...ruleset.tables.values()].map(({ family, name }) => ruleset.list(family, name)).join('');
    const again = NftRuleset.of(listing);
    for (const tweaks of [toWeb, toWeb6, fromDb, fromPtp, { ...fromDb, etherType: 'arp' as const }])
      expect(traceNft(again, packet(tweaks))).toEqual(traceNft(ruleset, packet(tweaks)));
  });

  test('the trace names the rules that matched, in order, bridges first', () => {
    expect(traceNft(ruleset, packet({ ...fromDb, destination: '10.9.0.0', bridged: true })).matchedRules).toEqual([
      'bridge prerouting: iifname @interfaces jump sources',
      'bridge sources: iifname . ip saddr @sources4 return',
      'inet forward: jump policies',
      'inet policies: jump judged',
      'inet judged: return',
      'inet policies: jump from-pods',
      'inet from-pods: ip saddr vmap @egress4',
      'inet from-db: goto profile-network',
      'inet profile-network: ip daddr @peers4-network return comment "shop/network"',
      'inet policies: jump to-pods',
      'inet policies: jump settle',
      'inet settle: ct mark set ct mark & 0x0001ffff | 0x00010000',
      'inet settle: return',
    ]);
  });
});

describe('jump, goto, return and maps', () => {
  test.for([
    { name: 'the end of a base chain is its policy', rules: '', policy: 'drop', verdict: 'drop' },
    { name: 'return in a base chain is its policy', rules: 'f return; f accept', policy: 'drop', verdict: 'drop' },
    { name: 'the end of a chain goes on after the jump', rules: 'f jump a; f drop', verdict: 'drop' },
    { name: 'return goes on after the jump', rules: 'f jump a; f drop; a return; a accept', verdict: 'drop' },
    {
      name: 'return after a goto goes back to the last jump',
      rules: 'f jump a; f drop; a goto b; a accept; b return',
      verdict: 'drop',
    },
    {
      name: 'the end after a goto goes back to the last jump',
      rules: 'f jump a; f drop; a goto b; a accept',
      verdict: 'drop',
    },
    {
      name: 'two gotos are undone by one return',
      rules: 'f jump a; f drop; a goto b; a accept; b goto c; b accept',
      verdict: 'drop',
    },
    {
      name: 'a jump after a goto returns into the chain gone to',
      rules: 'f jump a; f accept; a goto b; b jump c; b drop',
      verdict: 'drop',
    },
    {
      name: 'return after a goto out of a base chain is its policy',
      rules: 'f goto a; f accept; a return',
      policy: 'drop',
      verdict: 'drop',
    },
    { name: 'continue goes on', rules: 'f continue; f drop', verdict: 'drop' },
    { name: 'a rule without a verdict goes on', rules: 'f tcp dport 80; f drop', verdict: 'drop' },
    { name: 'a mark goes on, and is seen at once', rules: 'f ct mark set 0x1; f ct mark 1 drop', verdict: 'drop' },
    { name: 'a mark goes on in its own rule', rules: 'f ct mark set ct mark | 0x2 drop', verdict: 'drop' },
    {
      name: 'a map goes to a chain',
      rules: 'f ip saddr vmap @m; f accept; a drop',
      elements: '10.0.0.1 : goto a',
      verdict: 'drop',
    },
    {
      name: 'a map gone by comes back behind the jump',
      rules: 'f jump a; f drop; a ip saddr vmap @m; a accept',
      elements: '10.0.0.1 : goto b',
      verdict: 'drop',
    },
    {
      name: 'a map that jumps comes back behind itself',
      rules: 'f ip saddr vmap @m; f drop',
      elements: '10.0.0.1 : jump a',
      verdict: 'drop',
    },
    { name: 'a map drops', rules: 'f ip saddr vmap @m; f accept', elements: '10.0.0.1 : drop', verdict: 'drop' },
    {
      name: 'a map returns',
      rules: 'f jump a; f drop; a ip saddr vmap @m; a accept',
      elements: '10.0.0.1 : return',
      verdict: 'drop',
    },
    {
      name: 'a map without the key goes on',
      rules: 'f ip saddr vmap @m accept; f drop',
      elements: '10.0.0.2 : accept',
      verdict: 'drop',
    },
    {
      name: 'a map in the rule goes to a chain',
      rules: 'f tcp dport vmap { 79 : drop, 80-81 : goto a, 82 : drop }; f drop; a drop; late reject',
      verdict: 'drop',
    },
    {
      name: 'a map in the rule without the key goes on',
      rules: 'f tcp dport vmap { 1-79 : accept, 81 : accept }; f drop',
      verdict: 'drop',
    },
    {
      name: 'a map in the rule of another protocol goes on',
      rules: 'f udp dport vmap { 1-80 : accept, 81 : accept }; f drop',
      verdict: 'drop',
    },
    { name: 'a map ends its rule', rules: 'f ip saddr vmap @m drop', elements: '10.0.0.1 : goto a', verdict: 'accept' },
    { name: 'accept leaves the base chain alone', rules: 'f accept; f drop; late drop', verdict: 'drop' },
    { name: 'accept ends the base chain', rules: 'f jump a; f drop; a accept', verdict: 'accept' },
    { name: 'the earlier base chain drops first', rules: 'f drop; late reject', verdict: 'drop' },
    { name: 'reject ends all', rules: 'f reject; late accept', verdict: 'reject' },
    { name: 'prerouting is before', rules: 'early drop; f reject', verdict: 'drop' },
  ])('$name', ({ rules, policy = 'accept', elements, verdict }) => {
    const text = `
      table inet t {
        map m { type ipv4_addr : verdict; }
        chain late { type filter hook forward priority filter + 5; }
        chain f { type filter hook forward priority filter; policy ${policy}; }
        chain early { type filter hook prerouting priority raw; }
        chain a { }
        chain b { }
        chain c { }
      }
      ${elements === undefined ? '' : `add element inet t m { ${elements} }`}
      ${rules.replaceAll(/(?<=^|; )(?=\w)/g, 'add rule inet t ')}`;
    expect(traceNft(NftRuleset.of(text), packet()).verdict).toBe(verdict);
  });
});

const SETS = `
  set s4 { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.9 } }
  set s6 { type ipv6_addr; elements = { fd00::1 } }
  set n4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/30, 10.0.0.8-10.0.0.9, 255.255.255.255 } }
  set n6 { type ipv6_addr; flags interval; elements = { fd00::/64, fe80::1-fe80::3 } }
  set i { type ifname; elements = { "veth1", "veth2.3" } }
  set i4 { type ifname . ipv4_addr; elements = { "veth1" . 10.0.0.1, "veth2" . 10.0.0.2 } }
  set i6 { type ifname . ipv6_addr; elements = { "veth1" . fd00::1 } }
  set p4 { type ipv4_addr . inet_service; elements = { 10.0.0.2 . 80, 10.0.0.3 . 81 } }
  set p { type inet_service; flags interval; elements = { 1-9, 80 } }
`;

/** Tells whether one rule matches a packet in forward, or in the hook that is given. */
function isMatch(
  match: string,
  tweaks: Partial<Packet>,
  { family = 'inet', hook = 'forward', priority = '0' } = {},
): boolean {
  const text = `table ${family} t {${SETS}
  chain f { type filter hook ${hook} priority ${priority}; ${match} drop; }
}`;
  return traceNft(NftRuleset.of(text), packet(tweaks)).verdict === 'drop';
}

const v6 = { family: 'ipv6', source: 'fd00::1', destination: 'fd00::2' } as const;
const icmp6 = { ...v6, protocol: 'ipv6-icmp', sourcePort: undefined, destinationPort: undefined } as const;
const sources = (...list: readonly string[]) => list.map((source) => ({ source }));
const ports = (...list: readonly number[]) => list.map((destinationPort) => ({ destinationPort }));

interface MatchCase {
  readonly match: string;
  readonly yes: readonly Partial<Packet>[];
  readonly no: readonly Partial<Packet>[];
}

describe('matches of inet tables', () => {
  test.for<MatchCase>([
    {
      match: 'ip saddr 10.0.0.1',
      yes: [{}],
      no: [...sources('10.0.0.2'), { destination: '10.0.0.1', source: '10.0.0.3' }, v6],
    },
    { match: 'ip daddr 10.0.0.2', yes: [{}], no: [{ destination: '10.0.0.3' }, v6] },
    {
      match: 'ip saddr 10.2.0.0/15',
      yes: sources('10.2.0.0', '10.3.255.255'),
      no: sources('10.1.255.255', '10.4.0.0'),
    },
    { match: 'ip saddr != 10.2.0.0/15', yes: sources('10.1.255.255', '10.4.0.0'), no: [...sources('10.2.0.0'), v6] },
    { match: 'ip saddr 10.0.0.3-10.0.0.5', yes: sources('10.0.0.3', '10.0.0.5'), no: sources('10.0.0.2', '10.0.0.6') },
    {
      match: 'ip saddr { 10.0.0.3, 10.0.1.0/24 }',
      yes: sources('10.0.0.3', '10.0.1.9'),
      no: sources('10.0.0.4', '10.0.2.0'),
    },
    { match: 'ip saddr != { 10.0.0.3, 10.0.0.4 }', yes: sources('10.0.0.5'), no: [...sources('10.0.0.3'), v6] },
    { match: 'ip saddr 0.0.0.0/0', yes: [{}], no: [v6] },
    { match: 'ip saddr != 0.0.0.0/0', yes: [], no: [{}, v6] },
    {
      match: 'ip6 saddr fd00::/64',
      yes: [v6, { ...v6, source: 'fd00::ffff:0:0:1' }],
      no: [{ ...v6, source: 'fd00:0:0:1::' }, {}],
    },
    { match: 'ip6 daddr fd00::2', yes: [v6], no: [{ ...v6, destination: 'fd00::3' }, {}] },
    { match: 'ip saddr @s4', yes: sources('10.0.0.9'), no: [...sources('10.0.0.8'), v6] },
    { match: 'ip saddr != @s4', yes: sources('10.0.0.8'), no: [...sources('10.0.0.9'), v6] },
    { match: 'ip6 saddr @s6', yes: [v6], no: [{ ...v6, source: 'fd00::2' }, {}] },
    {
      match: 'ip saddr @n4',
      yes: sources('10.0.0.0', '10.0.0.3', '10.0.0.8', '10.0.0.9', '255.255.255.255'),
      no: sources('9.255.255.255', '10.0.0.4', '10.0.0.7', '10.0.0.10', '255.255.255.254'),
    },
    { match: 'ip6 saddr @n6', yes: [v6, { ...v6, source: 'fe80::3' }], no: [{ ...v6, source: 'fe80::4' }, {}] },
    {
      match: 'tcp dport 80',
      yes: [{}],
      no: [...ports(81), { protocol: 'udp' }, icmp6, { sourcePort: 80, destinationPort: 1 }],
    },
    { match: 'tcp sport 7', yes: [{ sourcePort: 7 }], no: [{ destinationPort: 7 }] },
    {
      match: 'udp dport 80-90',
      yes: ports(80, 90).map((of) => ({ ...of, protocol: 'udp' as const })),
      no: ports(80, 90),
    },
    { match: 'tcp dport 80-90', yes: ports(80, 90), no: ports(79, 91) },
    {
      match: 'tcp dport != 80-90',
      yes: ports(79, 91),
      no: [...ports(80, 90), { destinationPort: 79, protocol: 'udp' }],
    },
    { match: 'tcp dport { 7, 10-12 }', yes: ports(7, 10, 12), no: ports(6, 8, 9, 13) },
    { match: 'tcp dport @p', yes: ports(1, 9, 80), no: ports(10, 79, 81) },
    { match: 'sctp dport 80', yes: [{ protocol: 'sctp' }], no: [{}] },
    { match: 'th dport 80', yes: [{}, { protocol: 'udp' }, { protocol: 'sctp' }, { ...v6 }], no: ports(81) },
    {
      match: 'meta l4proto { tcp, udp } th dport 80',
      yes: [{}, { protocol: 'udp' }],
      no: [{ protocol: 'sctp' }, { protocol: 'icmp' }],
    },
    { match: 'meta l4proto sctp', yes: [{ protocol: 'sctp' }], no: [{}] },
    { match: 'meta l4proto 17', yes: [{ protocol: 'udp' }], no: [{}] },
    { match: 'meta l4proto != tcp', yes: [{ protocol: 'udp' }], no: [{}] },
    { match: 'meta l4proto ipv6-icmp', yes: [icmp6], no: [{}, { protocol: 'icmp' }] },
    { match: 'meta l4proto icmp', yes: [{ protocol: 'icmp' }], no: [{}, icmp6] },
    { match: 'meta nfproto ipv4', yes: [{}], no: [v6] },
    { match: 'meta nfproto != ipv4', yes: [v6], no: [{}] },
    {
      match: 'icmpv6 type 135',
      yes: [{ ...icmp6, icmpType: 135 }],
      no: [{ ...icmp6, icmpType: 134 }, v6, { protocol: 'icmp', icmpType: 135 }],
    },
    { match: 'icmpv6 type nd-router-advert', yes: [{ ...icmp6, icmpType: 134 }], no: [{ ...icmp6, icmpType: 135 }] },
    {
      match: 'icmpv6 type != { nd-router-advert, nd-redirect }',
      yes: [{ ...icmp6, icmpType: 135 }],
      no: [{ ...icmp6, icmpType: 134 }, { ...icmp6, icmpType: 137 }, v6, {}],
    },
    {
      match: 'ct mark & 0xf0000000 == 0xf0000000',
      yes: [{ connmark: 0xf0000001 }],
      no: [{ connmark: 0x70000000 }, { connmark: 0xf0000001, ctstate: 'INVALID' }],
    },
    {
      match: 'ct mark and 0xffff0000 == 0x00010000',
      yes: [{ connmark: 0x10007 }],
      no: [{ connmark: 0x20007 }, { connmark: 0x1 }],
    },
    { match: 'ct mark 0x00010000/16', yes: [{ connmark: 0x10007 }], no: [{ connmark: 0x20007 }] },
    {
      match: 'ct mark & 0xffff0000 != 0x00010000',
      yes: [{ connmark: 0x20007 }],
      no: [{ connmark: 0x10007 }, { ctstate: 'UNTRACKED' }],
    },
    { match: 'ct mark 0x5', yes: [{ connmark: 5 }], no: [{ connmark: 0x10005 }, { mark: 5 }] },
    { match: 'meta mark 0x5', yes: [{ mark: 5 }], no: [{ connmark: 5 }] },
    { match: 'ct state invalid', yes: [{ ctstate: 'INVALID' }], no: [{}, { ctstate: 'UNTRACKED' }] },
    {
      match: 'ct state established,related',
      yes: [{ ctstate: 'ESTABLISHED' }, { ctstate: 'RELATED' }],
      no: [{}, { ctstate: 'INVALID' }, { ctstate: 'UNTRACKED' }],
    },
    { match: 'ct state { new, untracked }', yes: [{}, { ctstate: 'UNTRACKED' }], no: [{ ctstate: 'RELATED' }] },
    { match: 'ct state != new', yes: [{ ctstate: 'INVALID' }, { ctstate: 'ESTABLISHED' }], no: [{}] },
    { match: 'ct status dnat', yes: [{ dnat: true }], no: [{}, { dnat: true, ctstate: 'INVALID' }] },
    { match: 'ct direction reply', yes: [{ ctdir: 'REPLY' }], no: [{}, { ctdir: 'REPLY', ctstate: 'INVALID' }] },
    { match: 'ct direction original', yes: [{}], no: [{ ctdir: 'REPLY' }, { ctstate: 'UNTRACKED' }] },
    { match: 'fib saddr type local', yes: [{ srcLocal: true }], no: [{}] },
    { match: 'fib saddr type != local', yes: [{}], no: [{ srcLocal: true }] },
    {
      match: 'iifname "eth0"',
      yes: [{}],
      no: [{ inInterface: 'eth00' }, { inInterface: undefined }, { outInterface: 'eth0', inInterface: 'a' }],
    },
    { match: 'iifname != "eth0"', yes: [{ inInterface: 'eth1' }, { inInterface: undefined }], no: [{}] },
    { match: 'iifname @i', yes: [{ inInterface: 'veth2.3' }], no: [{ inInterface: 'veth2' }, { physdevIn: 'veth1' }] },
    { match: 'oifname "eth1"', yes: [{}], no: [{ outInterface: 'eth0', inInterface: 'eth1' }] },
    {
      match: 'iifname . ip saddr @i4',
      yes: [{ inInterface: 'veth1' }],
      no: [{ inInterface: 'veth2' }, { inInterface: 'veth1', source: '10.0.0.2' }, { ...v6, inInterface: 'veth1' }],
    },
    { match: 'iifname . ip6 saddr @i6', yes: [{ ...v6, inInterface: 'veth1' }], no: [v6, { inInterface: 'veth1' }] },
    {
      match: 'ip daddr . tcp dport @p4',
      yes: [{}],
      no: [...ports(81), { destination: '10.0.0.3' }, { protocol: 'udp' }],
    },
    { match: 'ip daddr . th dport @p4', yes: [{}, { protocol: 'udp' }], no: ports(81) },
    { match: 'ip daddr . tcp dport { 10.0.0.2 . 80, 10.0.0.3 . 81 }', yes: [{}], no: ports(81) },
    { match: 'ip saddr @s4 tcp dport 80', yes: [{}], no: [...ports(81), ...sources('10.0.0.2')] },
    { match: 'ip saddr @s4 tcp dport 80 comment "not this"; tcp dport 1', yes: ports(1), no: [{}] },
  ])('$match', ({ match, yes, no }) => {
    expect(yes.filter((tweaks) => !isMatch(match, tweaks))).toEqual([]);
    expect(no.filter((tweaks) => isMatch(match, tweaks))).toEqual([]);
  });

  test.for<{ answer: string; yes: readonly Partial<Packet>[]; no: readonly Partial<Packet>[] }>([
    { answer: 'reject', yes: [{}, v6, { protocol: 'udp' }], no: [] },
    { answer: 'reject with icmpx port-unreachable', yes: [{}, v6, { protocol: 'udp' }], no: [] },
    { answer: 'reject with icmp port-unreachable', yes: [{}], no: [v6] },
    { answer: 'reject with icmpv6 port-unreachable', yes: [v6], no: [{}] },
    { answer: 'reject with tcp reset', yes: [{}, v6], no: [{ protocol: 'udp' }, { protocol: 'icmp' }] },
  ])('$answer', ({ answer, yes, no }) => {
    const rejecting = NftRuleset.of(`table inet t { chain f { type filter hook forward priority 0; ${answer}; }; }`);
    expect(yes.map((tweaks) => traceNft(rejecting, packet(tweaks)).verdict)).toEqual(yes.map(() => 'reject'));
    expect(no.map((tweaks) => traceNft(rejecting, packet(tweaks)).verdict)).toEqual(no.map(() => 'accept'));
  });
});

describe('matches of bridge tables', () => {
  const port = { physdevIn: 'veth1', inInterface: 'cni0' } as const;
  const arp = { ...port, etherType: 'arp' } as const;

  test.for<MatchCase>([
    { match: 'iifname "veth1"', yes: [port, arp], no: [{ ...port, physdevIn: 'cni0' }, { inInterface: 'veth1' }] },
    {
      match: 'ip saddr 10.0.0.1',
      yes: [port, { ...port, etherType: '8021q' }],
      no: [arp, { ...port, ...v6 }, { ...port, etherType: 0x8864 }],
    },
    { match: 'ip6 saddr fd00::/8', yes: [{ ...port, ...v6 }], no: [port, arp] },
    { match: 'arp saddr ip 10.0.0.1', yes: [arp], no: [port, { ...arp, source: '10.0.0.2' }] },
    { match: 'arp saddr ip != @s4', yes: [{ ...arp, source: '10.0.0.2' }], no: [arp, { ...port, source: '10.0.0.2' }] },
    { match: 'arp daddr ip 10.0.0.2', yes: [arp], no: [port] },
    { match: 'iifname . ip saddr @i4', yes: [port], no: [arp, { ...port, source: '10.0.0.2' }] },
    { match: 'iifname . arp saddr ip @i4', yes: [arp], no: [port, { ...arp, source: '10.0.0.2' }] },
    { match: 'iifname . ip6 saddr @i6', yes: [{ ...port, ...v6 }], no: [port] },
    {
      match: 'ether type { ip, arp }',
      yes: [port, arp],
      no: [
        { ...port, ...v6 },
        { ...port, etherType: '8021q' },
      ],
    },
    {
      match: 'ether type != { ip, ip6, arp }',
      yes: [
        { ...port, etherType: '8021ad' },
        { ...port, etherType: 0x8864 },
      ],
      no: [port, arp, { ...port, ...v6 }],
    },
    { match: 'ether type vlan', yes: [{ ...port, etherType: '8021q' }], no: [{ ...port, etherType: '8021ad' }, port] },
    { match: 'ether type 0x8864', yes: [{ ...port, etherType: 0x8864 }], no: [port] },
    { match: 'meta protocol ip', yes: [port, { ...port, etherType: '8021q' }], no: [arp] },
    {
      match: 'udp dport 67',
      yes: [{ ...port, protocol: 'udp', destinationPort: 67 }],
      no: [port, { ...arp, protocol: 'udp', destinationPort: 67 }],
    },
    { match: 'meta l4proto tcp', yes: [port], no: [arp, { ...port, etherType: 0x8864 }] },
    {
      match: 'ip6 saddr fd00::/8 icmpv6 type != { 133, 135 }',
      yes: [{ ...port, ...icmp6, icmpType: 134 }],
      no: [{ ...port, ...icmp6, icmpType: 135 }, { ...port, ...v6 }, port],
    },
    // Without the source before it, nft looks for IPv6 in the frame's header, where a tag is.
    {
      match: 'icmpv6 type 134',
      yes: [{ ...port, ...icmp6, icmpType: 134 }],
      no: [{ ...port, ...icmp6, icmpType: 134, etherType: '8021q' }],
    },
    {
      match: 'ip6 saddr fd00::/8 icmpv6 type 134',
      yes: [{ ...port, ...icmp6, icmpType: 134, etherType: '8021q' }],
      no: [{ ...port, ...icmp6, icmpType: 135, etherType: '8021q' }],
    },
  ])('$match', ({ match, yes, no }) => {
    const at = { family: 'bridge', hook: 'prerouting', priority: 'dstnat' };
    expect(yes.filter((tweaks) => !isMatch(match, tweaks, at))).toEqual([]);
    expect(no.filter((tweaks) => isMatch(match, tweaks, at))).toEqual([]);
  });
});

describe('which hooks a packet passes', () => {
  const hooks = [
    { family: 'bridge', hook: 'prerouting' },
    { family: 'bridge', hook: 'forward' },
    { family: 'inet', hook: 'prerouting' },
    { family: 'inet', hook: 'input' },
    { family: 'inet', hook: 'forward' },
    { family: 'inet', hook: 'output' },
    { family: 'inet', hook: 'postrouting' },
  ];
  // Each chain tells by its rule that it was there.
  const text = ['inet', 'bridge']
    .map((family) => {
      const chains = hooks
        .filter((of) => of.family === family)
        .map(
          ({ hook }) => `
        chain ${hook} { type filter hook ${hook} priority 0; continue; }`,
        );
      return `table ${family} t {${chains.join('')}\n}`;
    })
    .join('\n');

  test.for<{ name: string; packet: Partial<Packet>; passed: readonly string[] }>([
    { name: 'routed', packet: {}, passed: ['inet prerouting', 'inet forward'] },
    { name: 'of the node', packet: { hook: 'OUTPUT', inInterface: undefined }, passed: ['inet output'] },
    { name: 'of IPVS', packet: { hook: 'OUTPUT' }, passed: ['inet prerouting', 'inet output'] },
    {
      name: 'routed from a port',
      packet: { physdevIn: 'v' },
      passed: ['bridge prerouting', 'inet prerouting', 'inet forward'],
    },
    {
      name: 'bridged',
      packet: { physdevIn: 'v', bridged: true },
      passed: ['bridge prerouting', 'inet prerouting', 'bridge forward', 'inet forward'],
    },
    { name: 'ARP for the node', packet: { physdevIn: 'v', etherType: 'arp' }, passed: ['bridge prerouting'] },
    {
      name: 'bridged ARP',
      packet: { physdevIn: 'v', bridged: true, etherType: 'arp' },
      passed: ['bridge prerouting', 'bridge forward'],
    },
  ])('$name', ({ packet: tweaks, passed }) => {
    const trace = traceNft(NftRuleset.of(text), packet(tweaks));
    expect(trace.matchedRules).toEqual(passed.map((of) => `${of}: continue`));
  });

  test('where there is nothing, everything passes', () => {
    expect(traceNft(new NftRuleset(), packet({ connmark: 7 }))).toEqual({
      verdict: 'accept',
      mark: 7,
      matchedRules: [],
    });
  });
});

describe('marks', () => {
  test.for([
    { rule: 'ct mark set ct mark & 0x0000ffff | 0x00010000', before: 0xabcd1234, after: 0x00011234 },
    { rule: 'ct mark set ct mark and 0x0000ffff or 0x00010000', before: 0xabcd1234, after: 0x00011234 },
    { rule: 'ct mark set ct mark & 0x0001ffff | 0x00010000', before: 0xabcd1234, after: 0x00011234 },
    { rule: 'ct mark set ct mark & 0x0000ffff | 0xff000000', before: 0xabcd1234, after: 0xff001234 },
    { rule: 'ct mark set ct mark & 0x0000ffff', before: 0xabcd1234, after: 0x1234 },
    { rule: 'ct mark set ct mark | 0x00010000', before: 0xabcc1234, after: 0xabcd1234 },
    { rule: 'ct mark set 0x00010000', before: 0xabcd1234, after: 0x10000 },
  ])('$rule', ({ rule, before, after }) => {
    const written = NftRuleset.of(`table inet t { chain f { type filter hook forward priority 0; ${rule}; }; }`);
    const printed = NftRuleset.of(written.list('inet', 't'));
    for (const marking of [written, printed]) {
      expect(traceNft(marking, packet({ connmark: before })).mark).toBe(after);
      expect(traceNft(marking, packet({ connmark: before, ctstate: 'INVALID' })).mark).toBe(before);
    }
  });
});

describe('what packets do not tell throws', () => {
  test.for<{
    text: string;
    at: { family?: string; hook?: string; priority?: string };
    packet: Partial<Packet>;
    reason: string;
  }>([
    {
      text: 'ct state new',
      at: { hook: 'prerouting', priority: 'raw' },
      packet: {},
      reason: 'where conntrack has not been',
    },
    {
      text: 'ct mark 5',
      at: { hook: 'output', priority: 'raw' },
      packet: { hook: 'OUTPUT' },
      reason: 'where conntrack has not been',
    },
    {
      text: 'ct direction reply',
      at: { family: 'bridge' },
      packet: { physdevIn: 'v', bridged: true },
      reason: 'where conntrack has not been',
    },
    { text: 'ct mark set 5', at: { hook: 'prerouting' }, packet: {}, reason: '"ct mark set" in inet prerouting' },
    { text: 'th dport 80', at: {}, packet: { protocol: 'icmp' }, reason: 'is not a port' },
    { text: 'tcp dport 80', at: {}, packet: { etherType: 'arp' }, reason: 'only a bridge' },
  ])('$text in $at', ({ text, at, packet: tweaks, reason }) => {
    expect(() => isMatch(text, tweaks, at)).toThrow(reason);
  });

  test('two chains of one hook and priority', () => {
    const text = `table inet t { chain a { type filter hook forward priority 0; }; chain b { type filter hook forward priority 0; }; }`;
    expect(() => traceNft(NftRuleset.of(text), packet())).toThrow('have the same priority');
  });
});
