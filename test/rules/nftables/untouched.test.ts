import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nftPodChainNames } from '../../../src/rules/nftables/names.ts';
import type { Untouched } from '../../../src/rules/nftables/plan.ts';
import {
  addPodCommands,
  deleteRemainsCommands,
  freeAddressesCommands,
} from '../../../src/rules/nftables/podCommands.ts';
import { podTable } from '../../../src/rules/nftables/podTable.ts';
import { verdictOf, type NftTables } from '../../../src/rules/nftables/table.ts';
import { QUARANTINE, type PodHooks } from '../../../src/rules/pod.ts';
import { commit, readTables } from '../../helpers/nftNode.ts';
import type { NftRuleset } from '../../helpers/nftRuleset.ts';
import { carryOut, hooksOf, nodeIn, nodeStateLists, planTo, type NodeState } from './nodeStates.ts';

/** Hooks a pod in as its ADD does after a look, under the judgements that the agent gave it before. */
function add(ruleset: NftRuleset, { hooks, state }: { readonly hooks: PodHooks; readonly state: NodeState }): void {
  const tables = readTables(ruleset);
  const judgements = state.pods.find((pod) => pod.hooks.containerId === hooks.containerId)?.judgements ?? QUARANTINE;
  commit(ruleset, [
    ...deleteRemainsCommands(hooks, tables),
    ...freeAddressesCommands(hooks, tables),
    ...addPodCommands(hooks, judgements),
  ]);
}

function untouchedOf(pods: readonly PodHooks[]): Untouched {
  return {
    chains: new Set(pods.map(nftPodChainNames).flatMap(({ to, from }) => [to, from])),
    interfaces: new Set(pods.flatMap(({ hostInterface }) => hostInterface ?? [])),
  };
}

/** What the tables hold of pods: their chains, the chains that these lead to, and what leads there or locks their sources. */
function ownOf(pods: readonly PodHooks[], { inet, bridge }: NftTables) {
  const own = pods.map(nftPodChainNames).flatMap(({ to, from }) => [to, from]);
  const chains = own.map((name) => inet?.chains.get(name));
  const led = chains.flatMap((chain) => chain?.rules.flatMap((rule) => /goto (\S+)$/.exec(rule)?.[1] ?? []) ?? []);
  const elements = pods.flatMap((hooks) =>
    podTable(hooks, QUARANTINE).elements.map(({ family, set, key }) => {
      const found = { inet, bridge }[family]?.sets.get(set)?.elements.get(key);
      return [set, key, found === undefined ? 'missing' : verdictOf(found)];
    }),
  );
  return { chains, led: led.map((name) => inet?.chains.get(name)), elements };
}

test(
  'what an ADD under way has written stays, with the profile that it leads to, whatever else changes',
  { timeout: 60_000 },
  () => {
    fc.assert(
      fc.property(nodeStateLists, fc.integer(), ([from, to], bits) => {
        if (from === undefined || to === undefined) return;
        const ruleset = nodeIn(from);
        const candidates = new Map([...to.pods, ...from.pods].map(({ hooks }) => [hooks.containerId, hooks]));
        const taken = new Set<string>();
        const busy = [...candidates.values()].filter(({ addresses }, index) => {
          if (((bits >> index) & 1) === 0 || addresses.some((address) => taken.has(address))) return false;
          for (const address of addresses) taken.add(address);
          return true;
        });
        for (const hooks of busy) add(ruleset, { hooks, state: from });
        const before = readTables(ruleset);
        const others = to.pods.filter(({ hooks }) =>
          busy.every(({ containerId }) => containerId !== hooks.containerId),
        );
        const plan = planTo({ ...to, pods: others }, before, untouchedOf(busy));
        carryOut(ruleset, plan);
        expect(ownOf(busy, readTables(ruleset))).toEqual(ownOf(busy, before));
        expect(planTo({ ...to, pods: others }, plan.after, untouchedOf(busy)).commands).toEqual([]);
        expect(planTo({ ...to, pods: others }, readTables(ruleset), untouchedOf(busy)).commands).toEqual([]);
      }),
      { numRuns: 60 },
    );
  },
);

test('an address that an ADD under way has taken over is not given back to its earlier holder', () => {
  const earlier = hooksOf('shop/a', { addresses: ['10.0.0.1'], port: 'bridged' });
  const later = hooksOf('shop/b', { addresses: ['10.0.0.1'], port: 'bridged' });
  const policy = { groups: new Map(), profiles: new Map(), judgements: new Map() };
  const state: NodeState = { policy, pods: [{ hooks: earlier, judgements: QUARANTINE }] };
  const ruleset = nodeIn(state);
  add(ruleset, { hooks: later, state });
  const before = readTables(ruleset);
  const plan = planTo(state, before, untouchedOf([later]));
  carryOut(ruleset, plan);
  expect(ownOf([later], readTables(ruleset))).toEqual(ownOf([later], before));
  expect(plan.after.inet.sets.get('ingress4')?.elements).toEqual(
    readTables(ruleset).inet?.sets.get('ingress4')?.elements,
  );
});
