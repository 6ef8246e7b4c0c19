import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Neighbour } from './neighbours.ts';

/** Tables that accept all and drop some, before ours, at the priority of ours and after it. */
const FIREWALLS = `table inet firewall-before {
  chain forward { type filter hook forward priority filter - 20; policy accept; tcp dport 82 drop; accept; }
}
table inet firewall-beside {
  chain forward { type filter hook forward priority filter - 10; policy accept; tcp dport 83 reject with tcp reset; accept; }
}
table inet firewall-behind {
  chain forward { type filter hook forward priority filter + 20; policy drop; tcp dport 84 drop; accept; }
}
`;

const BRIDGE_FIREWALL = `table bridge firewall {
  set hosts { type ether_addr; elements = { 02:00:00:00:00:01 }; }
  chain prerouting { type filter hook prerouting priority dstnat; policy accept; ether saddr @hosts drop; accept; }
  chain forward { type filter hook forward priority filter; policy accept; tcp dport 85 drop; accept; }
}
`;

/** Tables that are called like ours in families of which we have none. */
const NAMESAKES = `table ip kube-nwplcy {
  map ingress4 { type ipv4_addr : verdict; elements = { 192.0.2.1 : accept }; }
  chain forward { type filter hook forward priority filter - 10; policy accept; ip daddr vmap @ingress4; tcp dport 86 drop; accept; }
}
table ip6 kube-nwplcy {
  chain forward { type filter hook forward priority filter - 10; policy accept; tcp dport 86 drop; accept; }
}
table arp kube-nwplcy {
  chain input { type filter hook input priority filter; policy accept; arp operation reply counter accept; }
}
`;

/** Somebody keeps something of his own in the half of the connection's mark that is not ours, and asks for it again behind us. */
const MARKS = `table inet marks {
  chain before { type filter hook forward priority mangle; policy accept; ct state new tcp dport 87 ct mark set ct mark and 0xffff0000 or 0x17; }
  chain behind { type filter hook forward priority filter + 10; policy accept; ct mark and 0xffff == 0x17 drop; }
}
`;

/** A machine that is a host of virtual machines and of containers too, whose rules are in tables of nft of their own. */
const HOSTS = `table ip libvirt_network {
  chain forward { type filter hook forward priority filter; policy accept; counter jump guest_cross; counter jump guest_input; counter jump guest_output; }
  chain guest_cross { iifname "virbr0" oifname "virbr0" counter accept; }
  chain guest_input { oifname "virbr0" ip daddr 192.168.122.0/24 ct state established,related counter accept; oifname "virbr0" counter reject; }
  chain guest_output { iifname "virbr0" ip saddr 192.168.122.0/24 counter accept; iifname "virbr0" counter reject; }
  chain guest_nat { type nat hook postrouting priority srcnat; policy accept; ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 counter masquerade; }
}
table ip container-bridges {
  map forward-in { type ifname : verdict; elements = { "docker0" : jump forward-in__docker0 }; }
  map forward-out { type ifname : verdict; elements = { "docker0" : jump forward-out__docker0 }; }
  chain forward-in__docker0 { ct state established,related counter accept; iifname "docker0" counter drop comment "ICC"; counter drop comment "unpublished"; }
  chain forward-out__docker0 { counter accept comment "outgoing"; }
  chain filter-FORWARD { type filter hook forward priority filter; policy accept; oifname vmap @forward-in; iifname vmap @forward-out; }
  chain raw-PREROUTING { type filter hook prerouting priority raw; policy accept; ip daddr 172.17.0.2 iifname != "docker0" counter drop comment "direct access"; }
}
`;

/** kube-proxy in its nftables mode (./recorded), with Services of other addresses: what is recorded in iptables has those. */
const KUBE_PROXY = readFileSync(join(import.meta.dirname, 'recorded/node-1.kube-proxy.nft'), 'utf8')
  .replaceAll('10.96.', '10.97.')
  .replaceAll('fd00:96:', 'fd00:97:');

/** Neighbours that write by nft alone, and what clients meet by their doing. */
export const NFT_NEIGHBOURS: readonly Neighbour[] = [
  {
    name: 'firewalls in tables of nft that accept all but some',
    nft: FIREWALLS,
    effects: [
      { port: 82, outcome: 'timeout' },
      { port: 83, outcome: 'refused' },
      { port: 84, outcome: 'timeout' },
    ],
  },
  { name: 'a firewall of the bridge', nft: BRIDGE_FIREWALL, effects: [{ port: 85, outcome: 'timeout' }] },
  { name: 'tables that are called like ours', nft: NAMESAKES, effects: [{ port: 86, outcome: 'timeout' }] },
  { name: "the other half of the connection's mark", nft: MARKS, effects: [{ port: 87, outcome: 'timeout' }] },
  { name: 'virtual machines and containers by nft', nft: HOSTS },
  {
    name: 'kube-proxy in its nftables mode',
    nft: KUBE_PROXY,
    effects: [
      { port: 80, to: ['10.97.0.11', 'fd00:97::11'], outcome: 'open' },
      { port: 80, to: ['10.97.0.14', 'fd00:97::14'], outcome: 'refused' },
      { port: 80, to: ['10.97.0.99', 'fd00:97::99'], outcome: 'timeout' },
    ],
  },
];
