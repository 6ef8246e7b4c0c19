import type { Cluster } from '../../src/kube/cluster.ts';
import { IP_FAMILIES, type IpFamily } from '../../src/net/family.ts';
import { parseChains } from '../../src/rules/iptables/kernelChains.ts';
import type { FilterTable } from '../../src/trace/iptables/follow.ts';
import type { RulesOptions } from './nodeRules.ts';
import { rulesetText } from './ruleset.ts';

/** Returns the filter tables of a node where every pod with an address is attached, as the kernel would show them. */
export function filterTableOf(cluster: Cluster, options: RulesOptions): Readonly<Record<IpFamily, FilterTable>> {
  const texts = rulesetText(cluster, options);
  const [ipv4, ipv6] = IP_FAMILIES.map((family): FilterTable => {
    const { rules, sets } = texts[family];
    const chains = parseChains(rules);
    const lines = Map.groupBy(sets.split('\n'), (line) => line.split(' ')[1] ?? '');
    return { family, rulesOf: (chain) => chains.get(chain), setText: (name) => lines.get(name)?.join('\n') };
  });
  if (ipv4 === undefined || ipv6 === undefined) throw new Error('There are two families');
  return { ipv4, ipv6 };
}
