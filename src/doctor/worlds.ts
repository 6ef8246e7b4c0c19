import { tablesOf } from '../dataplane/allChains.ts';
import type { ExaminedNode } from './examined.ts';
import { AS_ROOT, Findings, type Finding } from './finding.ts';

const findings = new Findings('iptables');

/** One of the two worlds of iptables is in use, not both: the kernel goes through both, and neither shows the other's rules. */
export function checkWorlds({ chains, backend }: ExaminedNode): readonly Finding[] {
  if (chains.unseen.length > 0) return [findings.unknown(`Cannot see all rules: ${chains.unseen.join('; ')}`, AS_ROOT)];
  const tables = tablesOf(chains);
  const isLegacy = [...tables].some((table) => table.startsWith('legacy '));
  const isNft = ['ip filter', 'ip6 filter'].some((table) => tables.has(table));
  const used = [...(isNft ? ['iptables-nft'] : []), ...(isLegacy ? ['iptables-legacy'] : [])];
  if (isLegacy && isNft)
    return [
      findings.warning(
        'Both worlds of iptables have been in use here, and packets must be let through by both',
        'see which programs write into which (iptables-nft -S, iptables-legacy -S), and let all use one',
      ),
    ];
  const [other] = used.filter((world) => backend?.startsWith('iptables-') === true && world !== backend);
  if (other !== undefined)
    return [
      findings.warning(
        `Others write by ${other}, and kube-nwplcy would by ${backend}`,
        'give agent and entry the same "backend" as kube-proxy, or "nftables": docs/backends.md',
      ),
    ];
  return [findings.ok(used.length === 0 ? 'Nobody uses iptables here' : `Only ${used.join()} is in use`)];
}
