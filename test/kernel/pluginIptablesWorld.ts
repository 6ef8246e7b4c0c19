import type { IptablesVariant } from '../../src/dataplane/iptables/sync.ts';
import { IP_FAMILIES, type IpFamily } from '../../src/net/family.ts';
import { entryChain, JUMPS, rejectChain, STANDING_CHAINS } from '../../src/rules/iptables/entryChains.ts';
import { parseChains } from '../../src/rules/iptables/kernelChains.ts';
import { HOOK_CHAINS, podHookRules, TO_SOURCES, withHooks } from '../../src/rules/iptables/hooks.ts';
import { podChains } from '../../src/rules/iptables/podChains.ts';
import { podChainNames } from '../../src/rules/iptables/podRestore.ts';
import { endChains } from '../../src/rules/iptables/endChains.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, INGRESS_CHAIN, REJECT_CHAIN } from '../../src/rules/names.ts';
import type { PluginNode } from '../helpers/pluginNode.ts';
import { output } from '../lab/run.ts';
import { hooksOf, type HookedPod, type PluginWorld } from './pluginWorld.ts';

type Chains = ReadonlyMap<string, readonly string[]>;
type Tables = Readonly<Record<IpFamily, Chains>>;

/** Returns the world of iptables that these programs write into; of each family the whole filter table is looked at. */
export function iptablesWorld(backend: IptablesVariant): PluginWorld {
  const variant = backend.slice('iptables-'.length);
  const chains = async (node: PluginNode, family: IpFamily) => chainsOf(node, { backend, family });
  return {
    backend,
    generationsAnAdd: 2,
    read: async (node) =>
      byFamily(withoutGeneration(await chains(node, 'ipv4')), withoutGeneration(await chains(node, 'ipv6'))),
    holding: (pods, profiles = []) => {
      const table = (family: IpFamily) => withoutGeneration(chainsFor(pods, { family, profiles }));
      return byFamily(table('ipv4'), table('ipv6'));
    },
    unordered: (tables) => {
      const { ipv4, ipv6 } = tables as Tables;
      return byFamily(unordered(ipv4), unordered(ipv6));
    },
    makeProfile: async (node, profile) => {
      await node.shell(
        `for t in iptables ip6tables; do $t-${variant} -N ${profile}; $t-${variant} -A ${profile} -g ${REJECT_CHAIN}; done`,
      );
    },
    isHooked: async (node, pod) => (await chains(node, 'ipv6')).has(podChainNames(hooksOf(pod))[0] ?? ''),
    presentMarks: async (node) =>
      Promise.all(
        IP_FAMILIES.map(async (family) => {
          const [rule = ''] = (await chains(node, family)).get(ENTRY_CHAIN) ?? [];
          return Number(/0x[0-9a-f]+(?=\/0xffff0000)/.exec(rule)?.[0]);
        }),
      ),
    marksAfter: (before) => [1, 2].map((more) => generationMark(before + more, DEFAULT_MARK_MASK).value),
    damage: async (node, pod) => {
      const [ingress = ''] = podChainNames(hooksOf(pod));
      await node.shell(`iptables-${variant} -D ${INGRESS_CHAIN} 1; ip6tables-${variant} -D ${EGRESS_CHAIN} 1
        ip6tables-${variant} -I ${INGRESS_CHAIN} -d ${pod.addresses[1]} -m comment --comment shop/web -g ${ingress}`);
    },
    takeAway: async (node) => {
      await node.shell(`for t in iptables ip6tables; do $t-${variant} -F; $t-${variant} -X; done`);
    },
    othersRules: `for t in iptables ip6tables; do
        $t-${variant} -N CANARY; $t-${variant} -A CANARY -m comment --comment "a  b" -j ACCEPT
        $t-${variant} -A FORWARD -i lo -j CANARY; $t-${variant} -P FORWARD DROP; $t-${variant} -A OUTPUT -o lo -j ACCEPT
        $t-${variant} -t nat -A POSTROUTING -o lo -j MASQUERADE; $t-${variant} -t mangle -A FORWARD -j MARK --set-mark 5
      done${backend === 'iptables-nft' ? UNPRINTABLE : ''}`,
  };
}

// iptables-nft cannot print this one, and refuses to list the chain that holds it.
const UNPRINTABLE = '\nnft insert rule ip filter FORWARD meta mark set numgen inc mod 4';

/** Returns the filter table's chains in one world of one family. */
export async function chainsOf(
  node: PluginNode,
  { backend, family }: { readonly backend: IptablesVariant; readonly family: IpFamily },
): Promise<Chains> {
  const command = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-${backend.slice('iptables-'.length)}`;
  return new Map(parseChains(await output(node.run, [command, '-S'])));
}

/** Returns the same as `chainsOf` for a node that holds these pods, in the order in which they came, and nothing of anybody else. */
function chainsFor(
  pods: readonly HookedPod[],
  { family, profiles }: { readonly family: IpFamily; readonly profiles: readonly string[] },
): Chains {
  const chains = pods.flatMap(({ pod, judgements }) => podChains(hooksOf(pod), { family, judgements }));
  const hooks = pods.flatMap(({ pod }) => podHookRules(hooksOf(pod), family));
  const hooksIn = (name: string) => hooks.filter(({ chain }) => chain === name);
  return new Map([
    ['INPUT', []],
    ['FORWARD', [JUMPS.FORWARD]],
    ['OUTPUT', [JUMPS.OUTPUT]],
    ...STANDING_CHAINS.map((name) => [name, []] as const),
    [REJECT_CHAIN, rejectChain(family).rules],
    ...endChains(family, { isRecording: false }).map(({ name, rules }) => [name, rules] as const),
    [ENTRY_CHAIN, entryChain(family, generationMark(1, DEFAULT_MARK_MASK)).rules],
    ...HOOK_CHAINS.map((name) => [name, withHooks(name === EGRESS_CHAIN ? [TO_SOURCES] : [], hooksIn(name))] as const),
    ...profiles.map((name) => [name, [`-g ${REJECT_CHAIN}`]] as const),
    ...chains.map(({ name, rules }) => [name, rules] as const),
  ]);
}

function withoutGeneration(chains: Chains): Chains {
  // What is behind the newest generation is dead.
  const living = (name: string, rules: readonly string[]) =>
    name === ENTRY_CHAIN ? rules.slice(0, rules.indexOf('-j RETURN') + 1) : rules;
  const entries = [...chains].map(
    ([name, rules]) =>
      [name, living(name, rules).map((rule) => rule.replace(/0x[0-9a-f]+\/0xffff0000/, 'MARK'))] as const,
  );
  return new Map(entries);
}

function unordered(chains: Chains): Chains {
  const isHooks = (name: string) => HOOK_CHAINS.some((chain) => chain === name);
  return new Map([...chains].map(([name, rules]) => [name, isHooks(name) ? rules.toSorted() : rules] as const));
}

function byFamily(ipv4: Chains, ipv6: Chains): Tables {
  return { ipv4, ipv6 };
}
