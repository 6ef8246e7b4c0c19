import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import { bridgeSysctls } from '../dataplane/bridgeSysctls.ts';
import { readFileIfAny } from '../files/readIfAny.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const bridge = new Findings('bridge');
const forwarding = new Findings('forwarding');
const conntrack = new Findings('conntrack');

/** Packets between pods of one bridge pass FORWARD, in this network namespace. */
export function checkBridge({ network, root }: ExaminedNode): readonly Finding[] {
  if (network instanceof Error) return [];
  if (!network.bridging) return [bridge.ok('The network has no bridge: br_netfilter is not needed')];
  const [ipv4, ipv6] = ['0.0.0.0', '::'].map((address) => bridgeFilterProblem([address], root));
  const mend =
    'modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1; and have both at each boot';
  if (bridgeSysctls(root) === undefined)
    return [bridge.problem('br_netfilter is not loaded: packets between pods of the bridge would pass no rule', mend)];
  return [
    ipv4 === undefined
      ? bridge.ok('br_netfilter is loaded, and net.bridge.bridge-nf-call-iptables is 1')
      : bridge.problem(`Packets between pods of the bridge pass no rule: ${ipv4}`, mend),
    ...(ipv6 === undefined
      ? []
      : [bridge.warning(`Pods with IPv6 addresses cannot be protected, and their ADD fails: ${ipv6}`, mend)]),
  ];
}

/** The node forwards packets at all. */
export function checkForwarding({ root }: ExaminedNode): readonly Finding[] {
  if (sysctl(root, 'net.ipv4.ip_forward') === '0')
    return [
      forwarding.problem(
        'net.ipv4.ip_forward is 0: pods reach nothing but their own node and bridge, whatever policies say',
        'sysctl -w net.ipv4.ip_forward=1, and put it into /etc/sysctl.d',
      ),
    ];
  return [forwarding.ok('The node forwards packets (net.ipv4.ip_forward)')];
}

/** A part of the table that leaves hardly any room: a few seconds of many new connections fill the rest. */
const NEARLY_FULL = 0.9;

/** There is room for new connections. */
export function checkConntrack({ root }: ExaminedNode): readonly Finding[] {
  const [count, max] = ['count', 'max'].map((name) => Number(sysctl(root, `net.netfilter.nf_conntrack_${name}`)));
  if (count === undefined || max === undefined || Number.isNaN(count / max)) return [];
  if (count <= max * NEARLY_FULL) return [conntrack.ok(`${count} of ${max} connections are tracked`)];
  return [
    conntrack.warning(
      `${count} of ${max} connections are tracked: when the table is full new ones are dropped, allowed or not`,
      `sysctl -w net.netfilter.nf_conntrack_max=${max * 2}, and see who opens so many (conntrack -L)`,
    ),
  ];
}

function sysctl(root: string, name: string): string | undefined {
  return readFileIfAny(`${root}/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
}
