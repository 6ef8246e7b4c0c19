import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LocalPods, localView, type LocalFacts } from '../../src/agent/localPods.ts';
import { changesBetween, NO_OBJECTS, type Cluster } from '../../src/kube/cluster.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { attachment } from '../helpers/attachments.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const KEYS = ['shop/a', 'shop/b', 'lab/c', 'lab/d'];
const addresses = fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1'), { maxLength: 2 });

const somePod = fc
  .record({
    key: fc.constantFrom(...KEYS),
    addresses,
    nodeName: fc.constantFrom('node-1', 'node-2'),
    hostNetwork: fc.boolean(),
    phase: fc.constantFrom('Running', 'Succeeded'),
    uid: fc.constantFrom('u1', 'u2'),
  })
  .map(({ key, ...facts }) => pod(key, facts));

const someState = fc.record({
  pods: fc.uniqueArray(somePod, { selector: (one) => JSON.stringify(one['metadata']), maxLength: 4 }),
  attachments: fc.uniqueArray(
    fc
      .record({
        key: fc.constantFrom(...KEYS),
        addresses,
        uid: fc.constantFrom('u1', undefined),
        ifName: fc.constantFrom('eth0', 'net1'),
      })
      .map(({ key, ...tweaks }) => attachment(key, tweaks)),
    { selector: ({ containerId, ifName }) => `${containerId} ${ifName}`, maxLength: 4 },
  ),
  detached: fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 2 }).map((keys) => new Set(keys)),
});

/** Objects that say the same stay the same object, as a source has it. */
function withKept(now: Cluster, before: Cluster): Cluster {
  const kept = [...now.pods].map(([key, one]) => {
    const old = before.pods.get(key);
    return [key, JSON.stringify(old) === JSON.stringify(one) && old !== undefined ? old : one] as const;
  });
  return { ...now, pods: new Map(kept) };
}

function sorted(pods: Cluster['pods']): unknown {
  return [...pods].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test('what follows the changes is what is seen at once, and every change is told', () => {
  fc.assert(
    fc.property(fc.array(someState, { minLength: 1, maxLength: 6 }), (states) => {
      const local = new LocalPods('node-1');
      let before = NO_OBJECTS;
      let facts: LocalFacts = { attachments: [], detached: new Set() };
      for (const { pods, ...others } of states) {
        const cluster = withKept(clusterOf(pods), before);
        const seen = new Map(local.view.cluster.pods);
        // Facts that say the same are the same object.
        if (
          JSON.stringify([...others.detached, others.attachments]) !==
          JSON.stringify([...facts.detached, facts.attachments])
        )
          facts = others;
        const changes = local.update(cluster, { changes: changesBetween(before, cluster), facts });
        const fresh = localView(cluster, { nodeName: 'node-1', ...facts });
        expect(sorted(local.view.cluster.pods)).toEqual(sorted(fresh.cluster.pods));
        expect(local.view.podOf).toEqual(fresh.podOf);
        expect(new Set(local.view.unrecorded)).toEqual(new Set(fresh.unrecorded));
        const differ = KEYS.filter((key) => seen.get(key) !== local.view.cluster.pods.get(key));
        expect(changes.pods).toEqual(new Set(differ));
        before = cluster;
      }
    }),
    { numRuns: 500 },
  );
});

test('a change of another node’s pod leaves the view the same object', () => {
  const local = new LocalPods('node-1');
  const facts = { attachments: [attachment('shop/a')], detached: new Set<string>() };
  const far = (address: string) => pod('shop/far', { addresses: [address], nodeName: 'node-2' });
  const one = clusterOf([pod('shop/a', {}), far('10.0.1.1')]);
  local.update(one, { changes: changesBetween(NO_OBJECTS, one), facts });
  const { view } = local;
  const other = clusterOf([far('10.0.1.2')]).pods.get('shop/far');
  const two = { ...one, pods: new Map([...one.pods, ...(other === undefined ? [] : [['shop/far', other] as const])]) };
  const changes = local.update(two, { changes: changesBetween(one, two), facts });
  expect([changes.pods, local.view === view, view.cluster.pods.get('shop/far')?.addresses]).toEqual([
    new Set(['shop/far']),
    true,
    ['10.0.1.2'],
  ]);
});

test('what is around some addresses decides about their flows at this node’s pods as the whole cluster does', () => {
  const cluster = clusterOf([
    namespace('shop', { team: 'shop' }),
    namespace('lab', { team: 'lab' }),
    pod('shop/a', { addresses: ['10.0.0.1'], labels: { app: 'a' } }),
    pod('lab/b', { addresses: ['10.0.1.1'], nodeName: 'node-2', labels: { app: 'b' } }),
    pod('lab/c', { addresses: ['10.0.1.2'], nodeName: 'node-2' }),
    policy('shop/p', {
      podSelector: {},
      ingress: [
        { from: [{ namespaceSelector: { matchLabels: { team: 'lab' } }, podSelector: { matchLabels: { app: 'b' } } }] },
      ],
    }),
    policy('lab/none', { podSelector: {} }),
  ]);
  const local = new LocalPods('node-1');
  const facts = { attachments: [], detached: new Set<string>() };
  local.update(cluster, { changes: changesBetween(NO_OBJECTS, cluster), facts });
  const around = local.around(['10.0.0.1', '10.0.1.1', '10.0.1.9']);
  expect([[...around.pods.keys()], [...around.policies.keys()]]).toEqual([['shop/a', 'lab/b'], ['shop/p']]);
  const verdict = (source: string) => {
    const flow = { from: { kind: 'address', address: source }, to: { kind: 'address', address: '10.0.0.1' } } as const;
    return evaluate(local.around([source, '10.0.0.1']), { ...flow, protocol: 'UDP', port: 53 }).allowed;
  };
  expect(['10.0.1.1', '10.0.1.2', '10.0.1.9'].map(verdict)).toEqual([true, false, false]);
});
