import type { Cluster } from '../../src/kube/cluster.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { HeldSets } from '../../src/rules/heldSets.ts';
import { withGeneration } from '../../src/rules/nftables/generation.ts';
import { peerSets } from '../../src/rules/nftables/peerSets.ts';
import { planTables } from '../../src/rules/nftables/plan.ts';
import { NFT_FAMILIES } from '../../src/rules/nftables/table.ts';
import { wantedTables } from '../../src/rules/nftables/wantedTables.ts';
import { nodeContent, type RulesOptions } from './nodeRules.ts';
import { NftRuleset } from './nftRuleset.ts';
import type { Packet } from '../../src/trace/packet.ts';
import { rulesetText } from './ruleset.ts';
import { traceNft } from './traceNft.ts';
import { tracePacket, type Trace } from './tracePacket.ts';

/** The two ways in which rules are written. */
export const RENDERINGS = ['iptables', 'nftables'] as const;

export type Rendering = (typeof RENDERINGS)[number];

/** Returns what follows packets through the rules of a node where every pod with an address is attached. */
export function nodeTracer(
  cluster: Cluster,
  { rendering, ...options }: RulesOptions & { readonly rendering: Rendering },
): (packet: Packet) => Trace {
  if (rendering === 'iptables') {
    const texts = rulesetText(cluster, options);
    return (packet) => tracePacket(texts[packet.family], packet);
  }
  const ruleset = nftRulesetOf(cluster, options);
  return (packet) => traceNft(ruleset, packet);
}

/** Returns what nftables holds on a node where every pod with an address is attached. */
export function nftRulesetOf(cluster: Cluster, options: RulesOptions): NftRuleset {
  const { policy, pods } = nodeContent(cluster, options);
  const nothing = { inet: undefined, bridge: undefined };
  const untouched = { chains: new Set<string>(), interfaces: new Set<string>() };
  const peers = new HeldSets(peerSets).plan(policy.groups);
  const plan = planTables(nothing, { wanted: wantedTables(pods, policy), peers, untouched, toMake: NFT_FAMILIES });
  const { commands } = withGeneration(plan, generationMark(1, DEFAULT_MARK_MASK));
  return NftRuleset.of(`${commands.join('\n')}\n`);
}
