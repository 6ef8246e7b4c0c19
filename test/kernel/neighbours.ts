import type { Outcome } from '../lab/probe/protocol.ts';

/** Rules that another program writes, as it writes them. In the text for iptables `{a|b}` is a for IPv4 and b for IPv6. */
export interface Neighbour {
  readonly name: string;
  /** What `nft -f` reads. */
  readonly nft?: string;
  /** What iptables-nft-restore reads. */
  readonly iptables?: string;
  /** What iptables-legacy-restore reads. */
  readonly legacy?: string;
  /** What `ipset restore` reads. */
  readonly ipset?: string;
  /** What a client meets by its doing; ours allow it. */
  readonly effects?: readonly Effect[];
  /** Whether iptables-nft can neither print FORWARD or OUTPUT nor find a rule there. */
  readonly hides?: boolean;
}

/** What becomes of a client of a port, of the server's if not told otherwise. */
export interface Effect {
  readonly port: number;
  readonly to?: readonly string[];
  readonly outcome: Outcome;
}

/** Returns the text that one family's program reads. */
export function textFor(tool: 'iptables' | 'ip6tables', text: string): string {
  return text.replaceAll(/\{([^{}|\n]*)\|([^{}|\n]*)\}/g, tool === 'iptables' ? '$1' : '$2');
}

/** docker 28, its daemon just started (moby, `integration/network/bridge/iptablesdoc`), and a rule of the operator. It inserts its jumps. */
const DOCKER = `*raw
-A PREROUTING -d {172.17.0.2|fd00:d0c::2} ! -i docker0 -j DROP
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-USER - [0:0]
-I FORWARD -j DOCKER-FORWARD
-I FORWARD -j DOCKER-USER
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-USER -p tcp -m tcp --dport 88 -j DROP
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {127.0.0.0/8|::1/128} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {172.17.0.0/16|fd00:d0c::/64} ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
`;

/** ufw 0.36, enabled, with ssh allowed (its before.rules, user.rules and ufw-init-functions). Its forward policy is DROP. */
const UFW = `*filter
:FORWARD DROP [0:0]
${['before-logging', 'before', 'after', 'after-logging', 'reject', 'track']
  .flatMap((stage) => ['input', 'output', 'forward'].map((hook) => `:{ufw|ufw6}-${stage}-${hook} - [0:0]`))
  .join('\n')}
:{ufw|ufw6}-logging-deny - [0:0]
:{ufw|ufw6}-skip-to-policy-forward - [0:0]
:{ufw|ufw6}-user-forward - [0:0]
:{ufw|ufw6}-user-input - [0:0]
${['before-logging', 'before', 'after', 'after-logging', 'reject', 'track']
  .flatMap((stage) =>
    ['input', 'output', 'forward'].map((hook) => `-A ${hook.toUpperCase()} -j {ufw|ufw6}-${stage}-${hook}`),
  )
  .join('\n')}
-A {ufw|ufw6}-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A {ufw|ufw6}-before-forward -p {icmp -m icmp --icmp-type 3|ipv6-icmp -m icmp6 --icmpv6-type 1} -j ACCEPT
-A {ufw|ufw6}-before-forward -j {ufw|ufw6}-user-forward
-A {ufw|ufw6}-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A {ufw|ufw6}-logging-deny -m conntrack --ctstate INVALID -m limit --limit 3/min --limit-burst 10 -j RETURN
-A {ufw|ufw6}-skip-to-policy-forward -j DROP
-A {ufw|ufw6}-user-input -p tcp -m tcp --dport 22 -m comment --comment "'dapp_OpenSSH'" -j ACCEPT
COMMIT
`;

/** firewalld 1.3 with the pods' network and bridge in its trusted zone, where one port is rejected all the same, cut down to what it has for forwarding. */
const FIREWALLD = `table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002:a00::/24, 2002:7f00::/24 } reject with icmpv6 addr-unreachable
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    ip saddr 10.244.0.0/16 goto filter_FWD_trusted
    ip6 saddr fd00:244::/48 goto filter_FWD_trusted
    iifname "cni0" goto filter_FWD_trusted
    goto filter_FWD_public
  }
  chain filter_FWD_trusted {
    tcp dport 89 reject with icmpx admin-prohibited
    accept
  }
  chain filter_FWD_public {
    jump filter_FWD_public_allow
    reject with icmpx admin-prohibited
  }
  chain filter_FWD_public_allow { oifname "eth0" accept; }
}
`;

/** A mesh VPN that has a table of its own, and puts rules into FORWARD by netlink, past iptables. */
const MESH = `table ip netbird {
  set nb0000001 { type ipv4_addr; flags dynamic; elements = { 100.90.149.44, 100.90.226.194 }; }
  chain netbird-rt-fwd { ct state established,related counter accept; }
  chain netbird-rt-postrouting {
    type nat hook postrouting priority srcnat - 1; policy accept;
    meta mark 0x0001bd21 oifname != "lo" counter masquerade
  }
  chain netbird-mangle-prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iifname "wt0" ct state new ct mark set 0x0001bd10
    iifname "wt0" ip saddr @nb0000001 fib daddr type local meta mark set 0x0001bd20
  }
  chain netbird-acl-forward-filter {
    type filter hook forward priority filter; policy accept;
    iifname "wt0" jump netbird-rt-fwd
    iifname "wt0" drop
  }
}
${both('insert rule FAMILY filter FORWARD oifname "wt0" ct state established,related counter accept')}
${both('insert rule FAMILY filter FORWARD iifname "wt0" counter accept')}
`;

/** Tables that somebody wrote by hand, before ours, after ours and at the same priority. */
const BY_HAND = `table inet by-hand {
  counter seen { }
  set allowed { type ipv4_addr . inet_service; elements = { 192.0.2.1 . 80, 192.0.2.2 . 443 }; }
  map verdicts { type mark : verdict; elements = { 0x1 : accept, 0x2 : drop }; }
  chain early { type filter hook forward priority filter - 10; policy accept; ip saddr 192.0.2.66 counter name seen drop; meta mark vmap @verdicts; }
  chain same { type filter hook forward priority filter; policy accept; ip daddr . tcp dport @allowed accept; }
  chain late { type filter hook forward priority filter + 10; policy accept; limit rate over 100000/second drop; }
}
table bridge by-hand {
  chain forward { type filter hook forward priority -200; policy accept; ether type vlan drop; }
}
`;

const OLD_SETS = `create theirs hash:net family inet hashsize 1024 maxelem 65536
add theirs 192.0.2.0/24
create theirs6 hash:net family inet6 hashsize 1024 maxelem 65536
add theirs6 2001:db8::/32
`;
const OLD_RULES = `*filter
:OLD - [0:0]
-A FORWARD -m set --match-set {theirs|theirs6} src -j OLD
-A OLD -m comment --comment "their \\"rule\\"; -j KUBE-NWPLCY-CHAIN" -j DROP
COMMIT
`;

/** Neighbours of which most write by iptables. */
export const NEIGHBOURS: readonly Neighbour[] = [
  { name: 'docker', iptables: DOCKER, effects: [{ port: 88, outcome: 'timeout' }] },
  { name: 'ufw', iptables: UFW },
  { name: 'firewalld', nft: FIREWALLD, effects: [{ port: 89, outcome: 'unreachable' }] },
  { name: 'tables of nft before ours and after', nft: BY_HAND },
  { name: 'legacy tables in use at the same time, with sets', legacy: OLD_RULES, ipset: OLD_SETS },
  { name: 'a set in a rule of iptables-nft that is not ours', iptables: OLD_RULES },
  {
    name: 'a rule that drops all at the end',
    iptables: '*filter\n-A FORWARD -m comment --comment "the end" -j DROP\nCOMMIT\n',
  },
  {
    name: 'rules and chains of nft in the table of iptables, of which it prints but a part',
    nft: `${both('add set FAMILY filter theirs { type mark; elements = { 0x7 }; }')}
${both('add chain FAMILY filter theirs { type filter hook forward priority filter - 5; policy accept; }')}
${both('add rule FAMILY filter theirs ct state established numgen inc mod 2 vmap { 0 : accept, 1 : continue }')}
${both('insert rule FAMILY filter FORWARD meta mark @theirs counter accept')}
`,
  },
  { name: 'a mesh VPN whose rules in FORWARD iptables-nft cannot print', nft: MESH },
  {
    name: 'rules of nft that make iptables-nft fail even to look for another rule',
    nft: `${both('insert rule FAMILY filter FORWARD fib daddr type local ct status dnat meter many { FAMILY saddr limit rate 5/second } counter accept')}
${both('add rule FAMILY filter OUTPUT meta skuid 0 rt mtu 1234 accept')}
`,
    hides: true,
  },
];

function both(line: string): string {
  return ['ip', 'ip6'].map((family) => line.replaceAll('FAMILY', family)).join('\n');
}
