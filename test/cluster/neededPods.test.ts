import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabelSelector } from '../../src/kube/labelSelector.ts';
import { selects } from '../../src/policy/selector.ts';
import { podViews } from '../../src/source/api/podViews.ts';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Manifest } from '../lab/manifests.ts';
import { ApiCluster } from './apiCluster.ts';

// An agent watches the pods of its node, and of the others those alone that policies of its pods name.

const PORTS = [80];

let cluster: ApiCluster;
let server: LabPod;
let near: LabPod;
let far: LabPod;
let guest: LabPod;

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', listen: PORTS });
  const { lab } = cluster;
  const labels = Object.fromEntries(Array.from({ length: ROUNDS }, (_, round) => [`round-${round}`, 'yes']));
  [server, near, far, guest] = await Promise.all([
    lab.node(1).addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } }),
    lab.node(1).addPod({ namespace: 'other', name: 'near', labels: { tier: 'a' } }),
    lab.node(2).addPod({ namespace: 'shop', name: 'far', labels: { tier: 'a', ...labels } }),
    lab.node(2).addPod({ namespace: 'other', name: 'guest', labels: { tier: 'b', ...labels } }),
  ]);
});
afterAll(() => cluster[Symbol.dispose]());

const ROUNDS = 8;

const byPeer = (from: readonly unknown[], name = 'server'): Manifest =>
  policy(`shop/${name}`, { podSelector: { matchLabels: { app: 'server' } }, ingress: [{ from }] });
const other = { matchLabels: { 'kubernetes.io/metadata.name': 'other' } };

describe('the API server', () => {
  const KEYS = ['app', 'example.com/tier'];
  const VALUES = ['a', 'b.c_d-e', ''];
  const labelSets = KEYS.flatMap((key) => VALUES.map((value) => ({ [key]: value })));
  const all = [{}, ...labelSets, { app: 'a', 'example.com/tier': '' }];

  beforeAll(async () => {
    const { admin } = cluster.api;
    await admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'labels' } });
    for (const [index, labels] of all.entries())
      await admin.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace: 'labels', name: `pod-${index}`, labels },
        spec: { containers: [{ name: 'main', image: 'none' }] },
      });
  });

  test.for(selectors(KEYS, VALUES))('selects with %s what the selector selects', async ([, selector]) => {
    const [view] = podViews([{ namespaces: 'labels', pods: selector }], []);
    const query = new URLSearchParams({ labelSelector: view?.labelSelector ?? '' }).toString();
    const list = (await cluster.api.admin.request('GET', `/api/v1/namespaces/labels/pods?${query}`)) as {
      readonly items: readonly { readonly metadata: { readonly name: string } }[];
    };
    const wanted = [...all.entries()].filter(([, labels]) => selects(selector, new Map(Object.entries(labels))));
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(wanted.map(([index]) => `pod-${index}`));
  });
});

test('peers are who policies say, however they name them and however it changes', async () => {
  const { admin } = cluster.api;
  const parties = [server, near, far, guest];
  const expression = (operator: string, values?: readonly string[]) => ({
    podSelector: { matchExpressions: [{ key: 'tier', operator, ...(values !== undefined && { values }) }] },
  });
  const peers = [
    [{ podSelector: {} }],
    [expression('NotIn', ['b'])],
    [{ namespaceSelector: other, ...expression('In', ['b', 'c']) }],
    [expression('DoesNotExist'), { namespaceSelector: other }],
    [{ namespaceSelector: {}, ...expression('Exists') }],
  ];
  for (const from of peers) {
    await admin.apply(byPeer(from));
    expect(await cluster.wrongs(parties, { ports: PORTS })).toEqual([]);
  }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'shop', name: 'far' } };
  for (const tier of [null, 'a']) {
    await admin.patch(pod, { metadata: { labels: { tier } } });
    expect(await cluster.wrongs(parties, { ports: PORTS })).toEqual([]);
  }
  await admin.delete(byPeer([]));
});

test('nobody whom a new policy lets in is refused for a moment, though the agent did not know him', async () => {
  const { admin } = cluster.api;
  const [address = ''] = server.addresses;
  await cluster.lab.sync();
  const hammers = await Promise.all(
    [far, guest].map(async ({ probe }) => probe.hammer({ address, port: 80, protocol: 'TCP' }, { intervalMs: 2 })),
  );
  for (let round = 0; round < ROUNDS; round += 1) {
    const podSelector = { matchLabels: { [`round-${round}`]: 'yes' } };
    await admin.apply(byPeer([{ podSelector }, { namespaceSelector: other, podSelector }], `round-${round}`));
    await cluster.lab.sync();
    await sleep(50);
    await admin.delete(byPeer([], `round-${round}`));
    await cluster.lab.sync();
  }
  for (const hammer of hammers) {
    const attempts = await hammer.stop();
    expect(attempts.length).toBeGreaterThan(100);
    expect(attempts.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
  }
});

function selectors(keys: readonly string[], values: readonly string[]): readonly (readonly [string, LabelSelector])[] {
  const none = { matchLabels: new Map(), matchExpressions: [] };
  const made = keys.flatMap((key): readonly LabelSelector[] => [
    ...values.map((value) => ({ ...none, matchLabels: new Map([[key, value]]) })),
    ...(['In', 'NotIn'] as const).flatMap((operator) =>
      [values, values.slice(1), values.slice(2)].map((some) => ({
        ...none,
        matchExpressions: [{ operator, key, values: some }],
      })),
    ),
    ...(['Exists', 'DoesNotExist'] as const).map((operator) => ({ ...none, matchExpressions: [{ operator, key }] })),
  ]);
  const both: LabelSelector = {
    matchLabels: new Map([['app', 'a']]),
    matchExpressions: [{ operator: 'NotIn', key: 'example.com/tier', values: ['b.c_d-e'] }],
  };
  return [none, ...made, both].map((selector) => [
    JSON.stringify({ ...selector, matchLabels: [...selector.matchLabels] }),
    selector,
  ]);
}
