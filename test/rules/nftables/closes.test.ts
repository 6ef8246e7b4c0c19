import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/policy/compile.ts';
import { isNftPeerSet, isNftProfileChain } from '../../../src/rules/nftables/names.ts';
import { NFT_FAMILIES, type NftTables } from '../../../src/rules/nftables/table.ts';
import { wantedPolicy } from '../../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';
import { readTables } from '../../helpers/nftNode.ts';
import { carryOut, hooksOf, nodeIn, nodeStateLists, planTo, type NodeState } from './nodeStates.ts';

/** Tells whether nothing that a live flow may depend on is other than before: only more members, new profiles, and less that is not led to. */
function onlyOpens(before: NftTables, after: NftTables): boolean {
  return NFT_FAMILIES.every((family) => {
    const [old, present] = [before[family], after[family]];
    if (old === undefined || present === undefined) return false;
    const chains = [...present.chains].every(([name, { rules }]) => {
      const known = old.chains.get(name)?.rules;
      return known === undefined ? isNftProfileChain(name) : known.join('\n') === rules.join('\n');
    });
    const sets = [...present.sets].every(([name, { elements }]) => {
      const known = [...(old.sets.get(name)?.elements ?? [])].map(([key, rest]) => key + rest);
      const all = new Set([...elements].map(([key, rest]) => key + rest));
      return known.every((element) => all.has(element)) && (isNftPeerSet(name) || known.length === all.size);
    });
    return chains && sets;
  });
}

test('a plan closes just where a live flow may be refused from now on', { timeout: 60_000 }, () => {
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(nodeStateLists, ([from, to]) => {
      if (from === undefined || to === undefined) return;
      const ruleset = nodeIn(from);
      const before = readTables(ruleset);
      const plan = planTo(to, before);
      // Without a generation: this one would change a chain.
      carryOut(ruleset, { ...plan, closes: false });
      seen.add(plan.closes);
      expect(plan.closes).toBe(!onlyOpens(before, readTables(ruleset)));
    }),
    { numRuns: 80 },
  );
  expect(seen).toEqual(new Set([true, false]));
});

const web = pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'] });
const client = (name: string, app: string, address: string) =>
  pod(`shop/${name}`, { labels: { app }, addresses: [address], nodeName: 'node-2' });
const allow = (app: string, more: Manifest = {}) =>
  policy('shop/p', {
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app } } }], ...more }],
  });
const WORLD = [namespace('shop'), web, client('a', 'cli', '10.0.0.2'), allow('cli')];
const without = (kind: string) => WORLD.filter((manifest) => manifest['kind'] !== kind);

function state(manifests: readonly Manifest[], attached = ['web']): NodeState {
  const cluster = clusterOf(manifests);
  const wanted = wantedPolicy(compile(cluster, 'node-1'));
  const pods = attached.flatMap((name) => {
    const judgements = wanted.judgements.get(`shop/${name}`);
    const addresses = cluster.pods.get(`shop/${name}`)?.addresses ?? [];
    return judgements === undefined
      ? []
      : [{ hooks: hooksOf(`shop/${name}`, { addresses, port: 'bridged' }), judgements }];
  });
  return { policy: wanted, pods };
}

describe('a change', () => {
  test.for([
    { name: 'to the same', to: state(WORLD), closes: false, commands: 0 },
    {
      name: 'by which a peer comes',
      to: state([...WORLD, client('b', 'cli', '10.0.0.3')]),
      closes: false,
      commands: 1,
    },
    { name: 'by which a peer leaves', to: state([namespace('shop'), web, allow('cli')]), closes: true, commands: 1 },
    {
      name: 'by which a peer has another address',
      to: state([namespace('shop'), web, client('a', 'cli', '10.0.0.9'), allow('cli')]),
      closes: true,
      commands: 2,
    },
    {
      name: 'to another policy (two sets and a profile that are filled, the pod’s chain; a profile and two sets gone)',
      to: state([...without('NetworkPolicy'), allow('web')]),
      closes: true,
      commands: 3 + 2 + 1 + 2 + 4,
    },
    { name: 'to no policy', to: state(without('NetworkPolicy')), closes: true, commands: 2 + 1 + 2 + 2 },
    { name: 'by which a pod goes', to: state(WORLD, []), closes: true, commands: 8 + 1 + 2 },
  ])('$name', ({ to, closes, commands }) => {
    const plan = planTo(to, readTables(nodeIn(state(WORLD))));
    const all = [...plan.commands, ...plan.cleanUp];
    expect([plan.closes, all.length], all.join('\n')).toEqual([closes, commands]);
  });

  test('by which a policy is there that selects no attached pod only makes its profile and sets', () => {
    const known = nodeIn(state(WORLD, []));
    const plan = planTo(state([...without('NetworkPolicy'), allow('web')], []), readTables(known));
    expect(plan.closes).toBe(false);
    expect(plan.commands.length).toBeGreaterThan(0);
  });
});
