import { parseTable } from '../../src/rules/nftables/listing.ts';
import {
  JUDGED_CHAIN,
  nftPodChainNames,
  nftProfileChainName,
  REFUSE_CHAIN,
  SETTLE_CHAIN,
  TABLE_NAME,
} from '../../src/rules/nftables/names.ts';
import { NFT_FAMILIES, type NftChain, type NftFamily, type NftTable } from '../../src/rules/nftables/table.ts';
import { wantedTables } from '../../src/rules/nftables/wantedTables.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import type { PluginNode } from '../helpers/pluginNode.ts';
import { hooksOf, type PluginWorld } from './pluginWorld.ts';
import { withoutGeneration } from './settled.ts';

/** Our two tables of nft, whole. */
export const nftWorld: PluginWorld = {
  backend: 'nftables',
  generationsAnAdd: 1,
  read: async (node) => ({ inet: await tableOf(node, 'inet'), bridge: await tableOf(node, 'bridge') }),
  holding: (pods, profiles = []) => {
    const attached = pods.map(({ pod, judgements }) => ({ hooks: hooksOf(pod), judgements }));
    const policy = { groups: new Map(), profiles: new Map(), judgements: new Map() };
    const { inet, bridge } = wantedTables(attached, policy);
    const generation = [
      [JUDGED_CHAIN, { rules: ['ct mark MARK accept', 'return'] }],
      [SETTLE_CHAIN, { rules: ['ct mark set MARK', 'return'] }],
    ] as const;
    const made = profiles.map((name) => [nftProfileChainName(name), { rules: [`goto ${REFUSE_CHAIN}`] }] as const);
    const chains = new Map<string, NftChain>([...inet.chains, ...generation, ...made]);
    return { inet: withoutComments({ ...inet, chains }), bridge: withoutComments(bridge) };
  },
  // It has none.
  unordered: (tables) => tables,
  makeProfile: async (node, profile) => {
    const chain = `inet ${TABLE_NAME} ${nftProfileChainName(profile)}`;
    await node.shell(`nft add chain ${chain}; nft add rule ${chain} goto ${REFUSE_CHAIN}`);
  },
  isHooked: async (node, pod) => (await node.shell('nft list ruleset')).includes(nftPodChainNames(hooksOf(pod)).to),
  presentMarks: async (node) => {
    const [judged = '', settle = ''] = await Promise.all(
      [JUDGED_CHAIN, SETTLE_CHAIN].map(async (name) => node.shell(`nft list chain inet ${TABLE_NAME} ${name}`)),
    );
    // One generation's rule is the first of its chain: a mark that is looked for, and the one that is set on top of the bits that are kept.
    return [/ct mark (?:& 0xffff0000 == )?(0x[0-9a-f]{8})/, /ct mark set .* \| (0x[0-9a-f]{8})/].map((form, index) =>
      Number(form.exec(index === 0 ? judged : settle)?.[1]),
    );
  },
  marksAfter: (before) => Array<number>(2).fill(generationMark(before + 1, DEFAULT_MARK_MASK).value),
  damage: async (node, pod) => {
    const { from } = nftPodChainNames(hooksOf(pod));
    const [ipv4, ipv6] = pod.addresses;
    await node.shell(`nft delete element inet ${TABLE_NAME} ingress4 '{ ${ipv4} }'
      nft delete element bridge ${TABLE_NAME} sources6 '{ "${pod.link}" . ${ipv6} }'
      nft flush chain inet ${TABLE_NAME} ${from}; nft add rule inet ${TABLE_NAME} ${from} ip daddr ${ipv4} return
      nft add element inet ${TABLE_NAME} egress4 '{ 10.5.0.77 : goto ${from} }'`);
  },
  takeAway: async (node) => {
    await node.shell(NFT_FAMILIES.map((family) => `nft delete table ${family} ${TABLE_NAME}`).join('; '));
  },
  othersRules: `nft -f - <<END
table bridge other {
  set interfaces { type ifname; elements = { "veth1" }; }
  chain prerouting { type filter hook prerouting priority -300; iifname @interfaces counter; }
}
table inet kube-nwplcy-2 {
  chain policies { comment "kube-nwplcy"; }
}
table ip kube-nwplcy {
  chain forward { type filter hook forward priority -10; policy drop; ip saddr 10.5.0.2 accept; }
}
END
for t in iptables ip6tables; do $t-nft -P FORWARD DROP; $t-nft -t mangle -A FORWARD -j MARK --set-mark 5; done`,
};

async function tableOf(node: PluginNode, family: NftFamily): Promise<NftTable | undefined> {
  const tables = (await node.shell('nft list tables')).split('\n');
  if (!tables.includes(`table ${family} ${TABLE_NAME}`)) return undefined;
  const text = await node.shell(`nft --stateless --numeric-priority list table ${family} ${TABLE_NAME}`);
  return parseTable(withoutGeneration(text));
}

/** What is told only to people a listing does not tell us. */
function withoutComments({ chains, sets }: NftTable): NftTable {
  return {
    isStrange: false,
    chains: new Map(
      [...chains].map(([name, { hook, rules }]) => [name, { ...(hook !== undefined && { hook }), rules }]),
    ),
    sets: new Map([...sets].map(([name, { kind, type, elements }]) => [name, { kind, type, elements }])),
  };
}
