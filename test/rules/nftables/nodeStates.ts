import fc from 'fast-check';
import { compile } from '../../../src/policy/compile.ts';
import { withGeneration } from '../../../src/rules/nftables/generation.ts';
import { HeldSets, type FoundSet } from '../../../src/rules/heldSets.ts';
import { peerSets, withoutPeers } from '../../../src/rules/nftables/peerSets.ts';
import { familiesToMake, planTables, type NftPlan, type Untouched } from '../../../src/rules/nftables/plan.ts';
import { bareElements, type NftSet, type NftTables } from '../../../src/rules/nftables/table.ts';
import { wantedTables } from '../../../src/rules/nftables/wantedTables.ts';
import type { AttachedPod, PodHooks } from '../../../src/rules/pod.ts';
import { wantedPolicy, type WantedPolicy } from '../../../src/rules/wanted.ts';
import { clusterManifests } from '../../helpers/arbitraries.ts';
import { clusterOf } from '../../helpers/manifests.ts';
import { commit } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';

/** What a node should hold: its policy and the pods that are attached. */
export interface NodeState {
  readonly policy: WantedPolicy;
  readonly pods: readonly (AttachedPod & { readonly judgements: NonNullable<AttachedPod['judgements']> })[];
}

interface HookSeed {
  readonly isAttached: boolean;
  readonly isKnown: boolean;
  readonly port: 'none' | 'bridged' | 'routed';
}

const hookSeed: fc.Arbitrary<HookSeed> = fc.record({
  isAttached: fc.constantFrom(true, true, true, false),
  isKnown: fc.constantFrom(true, true, true, false),
  port: fc.constantFrom('none', 'bridged', 'routed'),
});

const MOST_PODS = 20;

/** Some states of one node, one after the other: they have most of their namespaces, pods and policies in common. */
export const nodeStateLists: fc.Arbitrary<readonly NodeState[]> = fc
  .tuple(clusterManifests, clusterManifests)
  .chain((clusters) =>
    fc.array(
      fc.record({
        manifests: fc.subarray(clusters.flat()),
        seeds: fc.array(hookSeed, { minLength: MOST_PODS, maxLength: MOST_PODS }),
      }),
      { minLength: 2, maxLength: 4 },
    ),
  )
  .map((states) =>
    states.map(({ manifests, seeds }) => {
      const cluster = clusterOf(manifests);
      const policy = wantedPolicy(compile(cluster, 'node-1'));
      const pods = [...policy.judgements].flatMap(([key, judgements], index) => {
        const pod = cluster.pods.get(key);
        const seed = seeds[index];
        if (pod === undefined || pod.addresses.length === 0 || seed?.isAttached !== true) return [];
        const quarantine = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } } as const;
        return [
          {
            hooks: hooksOf(key, { addresses: pod.addresses, port: seed.port }),
            judgements: seed.isKnown ? judgements : quarantine,
          },
        ];
      });
      return { policy, pods };
    }),
  );

/** Returns the hooks of a pod `namespace/name`. */
export function hooksOf(
  key: string,
  { addresses, port }: { readonly addresses: readonly string[]; readonly port: HookSeed['port'] },
): PodHooks {
  const [namespace = '', name = ''] = key.split('/');
  return {
    containerId: `${namespace}.${name}`,
    ifName: 'eth0',
    namespace,
    name,
    addresses,
    hostInterface: port === 'none' ? undefined : `veth-${name}`,
    bridged: port === 'bridged',
  };
}

export const NOTHING_READ: NftTables = { inet: undefined, bridge: undefined };
export const NOTHING_UNTOUCHED: Untouched = { chains: new Set(), interfaces: new Set() };

let generation = 0;

/** Returns the plan from what a node holds to a state; `after` has the sets of peers too. */
export function planTo({ policy, pods }: NodeState, from: NftTables, untouched = NOTHING_UNTOUCHED): NftPlan {
  const own = from.inet && withoutPeers(from.inet);
  const actual = { inet: own?.table, bridge: from.bridge };
  const wanted = wantedTables(pods, policy);
  const planFrom = (found: ReadonlyMap<string, FoundSet>) => {
    const held = new HeldSets(peerSets);
    held.found(found);
    return held.plan(policy.groups);
  };
  const known = planFrom(own?.peers ?? new Map());
  const toMake = familiesToMake(actual, { wanted, misfits: known.misfits });
  const peers = toMake.includes('inet') ? planFrom(new Map()) : known;
  const plan = planTables(actual, { wanted, peers, untouched, toMake });
  const kept = [...peers.stale].filter((name) => !plan.deletedPeers.includes(name));
  const sets = new Map([
    ...plan.after.inet.sets,
    ...[...policy.groups.values()]
      .flatMap(peerSets)
      .map(({ name, type, comment, members }): [string, NftSet] => [
        name,
        { kind: 'set', type, comment, elements: bareElements(members) },
      ]),
    ...kept.flatMap((name): [string, NftSet][] => {
      const set = from.inet?.sets.get(name);
      return set === undefined ? [] : [[name, set]];
    }),
  ]);
  return { ...plan, after: { ...plan.after, inet: { ...plan.after.inet, sets } } };
}

/** Commits a plan as the agent does, with a new generation where it closes; returns what was committed. */
export function carryOut(ruleset: NftRuleset, plan: NftPlan): NftPlan {
  generation += 1;
  const whole = plan.closes
    ? withGeneration(plan, { value: ((generation % 100) + 1) * 65_536, mask: 0xffff0000 })
    : plan;
  for (const commands of [whole.commands, whole.cleanUp]) if (commands.length > 0) commit(ruleset, commands);
  return whole;
}

/** Returns a node that was brought to a state from nothing. */
export function nodeIn(state: NodeState): NftRuleset {
  const ruleset = new NftRuleset();
  carryOut(ruleset, planTo(state, NOTHING_READ));
  return ruleset;
}
