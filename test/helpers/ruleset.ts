import type { Cluster } from '../../src/kube/cluster.ts';
import type { IpFamily } from '../../src/net/family.ts';
import { RECORD_PLACES } from '../../src/rules/flowRecords.ts';
import { HeldSets } from '../../src/rules/heldSets.ts';
import { addressSets } from '../../src/rules/iptables/addressSet.ts';
import { planChains, withGeneration } from '../../src/rules/iptables/chainPlan.ts';
import { recordSetLines } from '../../src/rules/iptables/endChains.ts';
import { planIpsets } from '../../src/rules/iptables/ipsetPlan.ts';
import { NOTHING_IN_KERNEL } from '../../src/rules/iptables/kernelChains.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { wantedChains } from '../../src/rules/iptables/wantedChains.ts';
import { nodeContent, type RulesOptions } from './nodeRules.ts';

/** One family's filter table as `iptables -S` would print it, and all sets as `ipset save` would. */
export interface RulesetText {
  readonly rules: string;
  readonly sets: string;
}

/** Returns what the agent would put into the kernel of a node where every pod with an address is attached. */
export function rulesetText(
  cluster: Cluster,
  { generation = 1, ...options }: RulesOptions & { readonly generation?: number },
): Readonly<Record<IpFamily, RulesetText>> {
  const { policy, pods } = nodeContent(cluster, options);
  const peers = planIpsets(new HeldSets(addressSets).plan(policy.groups).changes).fill;
  const sets = [...RECORD_PLACES.flatMap(recordSetLines), ...peers].join('\n');
  const textOf = (family: IpFamily): RulesetText => {
    const plan = planChains(NOTHING_IN_KERNEL, wantedChains(pods, { family, profiles: policy.profiles }), family);
    const { after } = withGeneration(plan, { family, mark: generationMark(generation, DEFAULT_MARK_MASK) });
    return { rules: tableText(after.chains), sets };
  };
  return { ipv4: textOf('ipv4'), ipv6: textOf('ipv6') };
}

function tableText(chains: ReadonlyMap<string, readonly string[]>): string {
  return [
    '-P FORWARD ACCEPT',
    '-P OUTPUT ACCEPT',
    ...[...chains.keys()].map((name) => `-N ${name}`),
    '-A FORWARD -j KUBE-NWPLCY-CHAIN',
    '-A OUTPUT -m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN',
    ...[...chains].flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
  ].join('\n');
}
