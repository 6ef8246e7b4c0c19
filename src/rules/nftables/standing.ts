import { endChains, recordSets } from './endChains.ts';
import { JUDGED_CHAIN, REFUSE_CHAIN, SETTLE_CHAIN } from './names.ts';
import type { NftChain, NftFamily, NftSet, NftTable } from './table.ts';

const NEIGHBOUR_DISCOVERY = '{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }';

const NO_ELEMENTS: ReadonlyMap<string, string> = new Map();

function verdicts(type: string, comment: string): NftSet {
  return { kind: 'map', type: `type ${type} : verdict`, comment, elements: NO_ELEMENTS };
}

function keys(type: string, comment: string): NftSet {
  return { kind: 'set', type: `type ${type}`, comment, elements: NO_ELEMENTS };
}

const SOURCE_SETS: Readonly<Record<string, NftSet>> = {
  sources4: keys('ifname . ipv4_addr', 'each interface with the sources that are its own'),
  sources6: keys('ifname . ipv6_addr', 'each interface with the sources that are its own'),
};

const INET_SETS: Readonly<Record<string, NftSet>> = {
  ingress4: verdicts('ipv4_addr', 'by destination, where packets to a pod are judged'),
  ingress6: verdicts('ipv6_addr', 'by destination, where packets to a pod are judged'),
  egress4: verdicts('ipv4_addr', 'by source, where packets from a pod are judged'),
  egress6: verdicts('ipv6_addr', 'by source, where packets from a pod are judged'),
  interfaces: keys('ifname', 'the interfaces of pods whose packets are routed from there'),
  ...SOURCE_SETS,
  ...Object.fromEntries(recordSets()),
};

const BRIDGE_SETS: Readonly<Record<string, NftSet>> = {
  interfaces: keys('ifname', 'the ports of bridges behind which pods are'),
  isolated: keys('ifname', 'those of pods that policies isolate for ingress'),
  ...SOURCE_SETS,
};

// Router advertisements and redirects must not come from a pod (CVE-2020-10749). All else that is link-local, or has no source yet (DHCP,
// duplicate address detection), may reach the node; where a bridge would pass it on, chain `bridged` looks at it.
const LOCAL_SOURCES: readonly string[] = [
  'icmpv6 type { nd-router-advert, nd-redirect } drop',
  'ip6 saddr fe80::/10 return',
  'ip6 saddr :: return',
  'ip saddr 0.0.0.0 return',
];

const INET_CHAINS: Readonly<Record<string, NftChain>> = {
  [REFUSE_CHAIN]: {
    comment: 'where every refusal ends',
    rules: [
      'ct state invalid drop',
      // The kernel sends a reset to a pod on a bridge past NAT: who has asked for a Service would not know the address that refuses.
      'meta l4proto tcp ct state new ct status dnat reject',
      // An icmp error does not end a TCP connection that was established, and the kernel sends few of them a second; a reset is always heard.
      'meta l4proto tcp reject with tcp reset',
      'reject',
    ],
  },
  ...Object.fromEntries(endChains()),
  [JUDGED_CHAIN]: {
    comment: 'flows that were judged under the present generation go on; only the first two rules count',
    rules: [],
  },
  [SETTLE_CHAIN]: {
    comment: 'marks a flow as judged under the present generation; only the first two rules count',
    rules: [],
  },
  'from-pods': {
    comment: 'leads packets to the chain of the pod that they come from',
    rules: ['ip saddr vmap @egress4', 'ip6 saddr vmap @egress6'],
  },
  'to-pods': {
    comment: 'leads packets to the chain of the pod that they go to',
    rules: ['ip daddr vmap @ingress4', 'ip6 daddr vmap @ingress6'],
  },
  policies: {
    comment: 'both ends must allow a flow, then it is settled',
    rules: [
      `jump ${JUDGED_CHAIN}`,
      // Also when the judgement is stale: a download whose client has nothing to say until data arrives would stand still otherwise.
      'ct direction reply ct state established,related accept',
      // Over a bridge, neighbour discovery between pods comes here.
      `icmpv6 type ${NEIGHBOUR_DISCOVERY} accept`,
      'jump from-pods',
      'jump to-pods',
      `jump ${SETTLE_CHAIN}`,
    ],
  },
  sources: {
    comment: "drops what does not have its interface's own source",
    rules: ['iifname . ip saddr @sources4 return', 'iifname . ip6 saddr @sources6 return', ...LOCAL_SOURCES, 'drop'],
  },
  prerouting: {
    hook: 'type filter hook prerouting priority -300; policy accept;',
    rules: ['iifname @interfaces jump sources'],
  },
  forward: { hook: 'type filter hook forward priority -10; policy accept;', rules: ['jump policies'] },
  output: {
    hook: 'type filter hook output priority -10; policy accept;',
    // What IPVS forwards leaves here with a source that is not this node's; the node's own traffic is never judged.
    rules: ['fib saddr type != local jump policies'],
  },
};

const BRIDGE_CHAINS: Readonly<Record<string, NftChain>> = {
  sources: {
    comment: "drops what does not have its port's own source; ARP too",
    rules: [
      'iifname . arp saddr ip @sources4 return',
      // The node takes what is in VLAN 0 for untagged, and the rules below do not all see into VLANs.
      'ether type 8021q drop',
      'ether type 8021ad drop',
      ...LOCAL_SOURCES,
      'arp saddr ip 0.0.0.0 return',
      'meta protocol ip drop',
      'meta protocol ip6 drop',
      'meta protocol arp drop',
    ],
  },
  usual: {
    comment: "what neither of the next two would drop: untagged, with a source, for the pod's own address",
    rules: [
      'ip saddr != 0.0.0.0 oifname . ip daddr @sources4 accept',
      'ip6 saddr != { ::, fe80::/10 } oifname . ip6 daddr @sources6 accept',
    ],
  },
  bridged: {
    comment: 'what a pod may not send past the policies to other ports of its bridge',
    rules: [
      // br_netfilter shows none of these to the policies.
      'ether type 8021q drop',
      'ether type 8021ad drop',
      'ether type 0x8864 drop',
      `icmpv6 type ${NEIGHBOUR_DISCOVERY} return`,
      'ip6 saddr { ::, fe80::/10 } drop',
      'ip saddr 0.0.0.0 drop',
    ],
  },
  delivered: {
    comment: "what comes to a pod over its bridge is for the pod's own address, or for all that nothing isolates",
    rules: [
      'oifname . ip daddr @sources4 return',
      'oifname . ip6 daddr @sources6 return',
      'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } return',
      // By its destination no policy would find the pod.
      'oifname @isolated meta protocol ip drop',
      'oifname @isolated meta protocol ip6 drop',
      'meta pkttype { broadcast, multicast } return',
      'ip6 daddr fe80::/10 return',
      // The bridge was told, by a frame with another pod's link address, that the other is here.
      'meta protocol ip drop',
      'meta protocol ip6 drop',
    ],
  },
  prerouting: {
    hook: 'type filter hook prerouting priority -300; policy accept;',
    // Almost everything: one lookup.
    rules: [
      'iifname . ip saddr @sources4 accept',
      'iifname . ip6 saddr @sources6 accept',
      'iifname @interfaces jump sources',
    ],
  },
  forward: {
    hook: 'type filter hook forward priority -300; policy accept;',
    // The link's own type, which is not that of what is behind a VLAN tag.
    rules: [
      'ether type ip jump usual',
      'ether type ip6 jump usual',
      'iifname @interfaces jump bridged',
      'oifname @interfaces jump delivered',
    ],
  },
};

/** What both tables hold beside pods, profiles and peers; the chains of the generation are empty. */
export const STANDING_TABLES: Readonly<Record<NftFamily, NftTable>> = {
  inet: { chains: new Map(Object.entries(INET_CHAINS)), sets: new Map(Object.entries(INET_SETS)) },
  bridge: { chains: new Map(Object.entries(BRIDGE_CHAINS)), sets: new Map(Object.entries(BRIDGE_SETS)) },
};
