import { tablesOf } from '../dataplane/allChains.ts';
import { readFileIfAny } from '../files/readIfAny.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('kube-proxy');

/** How Services work here, and what that asks for. */
export function checkKubeProxy({ chains, root }: ExaminedNode): readonly Finding[] {
  if (hasIpvs(root)) return [ipvsFinding(root)];
  const tables = tablesOf(chains);
  if (tables.has('ip kube-proxy') || tables.has('ip6 kube-proxy')) return [findings.ok('Its mode is nftables')];
  if (chains.chains.some(({ name }) => name === 'KUBE-SERVICES' || name === 'KUBE-FORWARD'))
    return [findings.ok('Its mode is iptables')];
  return [findings.ok('No sign of it: Services work by other means, or not yet')];
}

/** kube-proxy gives the addresses of Services to an interface of this name; and the table of IPVS has services in it. */
function hasIpvs(root: string): boolean {
  const services = readFileIfAny(`${root}/proc/net/ip_vs`) ?? '';
  return /^\s*kube-ipvs0:/m.test(readFileIfAny(`${root}/proc/net/dev`) ?? '') || /^(?:TCP|UDP|SCTP) /m.test(services);
}

function ipvsFinding(root: string): Finding {
  const value = readFileIfAny(`${root}/proc/sys/net/ipv4/vs/conntrack`)?.trim();
  if (value === '1') return findings.ok('Its mode is IPVS, with net.ipv4.vs.conntrack=1 (docs/ipvs.md)');
  return findings.problem(
    `Its mode is IPVS, and net.ipv4.vs.conntrack is ${value ?? 'not there'}: flows to Services cannot be judged`,
    'sysctl -w net.ipv4.vs.conntrack=1; kube-proxy sets it at its start (docs/ipvs.md)',
  );
}
