import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { Party } from '../lab/matrix.ts';
import type { LabPod } from '../lab/pod.ts';
import { ApiCluster } from './apiCluster.ts';

// What changes in the API is so in the kernel. After each change every pair is tried against `evaluate`; who reaches the server is said besides.

const PORTS = [80];

let cluster: ApiCluster;
let server: LabPod;
let parties: readonly LabPod[];

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', listen: PORTS });
  const { lab } = cluster;
  server = await lab.node(1).addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } });
  const clients = [
    lab.node(1).addPod({ namespace: 'shop', name: 'near', labels: { role: 'friend' } }),
    lab.node(2).addPod({ namespace: 'shop', name: 'far', labels: { role: 'stranger' } }),
    lab.node(2).addPod({ namespace: 'other', name: 'guest', labels: { role: 'friend' } }),
  ];
  parties = [server, ...(await Promise.all(clients))];
});
afterAll(() => cluster[Symbol.dispose]());

const byPeer = (from: unknown): Manifest =>
  policy('shop/server', {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from }],
  });

/** Returns who reaches the server, once every pair is as `evaluate` says. */
async function reachers(): Promise<readonly string[]> {
  expect(await cluster.wrongs(parties, { ports: PORTS })).toEqual([]);
  const [address = ''] = server.addresses;
  const results = parties.map(async ({ key, probe }) => {
    const [result] = await probe.dial([{ address, port: 80, protocol: 'TCP' }]);
    return result?.outcome === 'open' ? [key] : [];
  });
  return (await Promise.all(results)).flat().filter((key) => key !== server.key);
}

async function label({ namespace, name }: LabPod, labels: Readonly<Record<string, string | null>>): Promise<void> {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name } };
  await cluster.api.admin.patch(pod, { metadata: { labels } });
}

test('a policy is in force, changed and gone', async () => {
  const { admin } = cluster.api;
  expect(await reachers()).toEqual(['shop/near', 'shop/far', 'other/guest']);
  await admin.apply(byPeer([{ podSelector: { matchLabels: { role: 'friend' } } }]));
  expect(await reachers()).toEqual(['shop/near']);
  await admin.apply(byPeer([{ podSelector: { matchLabels: { role: 'stranger' } } }]));
  expect(await reachers()).toEqual(['shop/far']);
  await admin.delete(byPeer([]));
  expect(await reachers()).toEqual(['shop/near', 'shop/far', 'other/guest']);
});

test("a pod's labels let it in and shut it out, and choose who is isolated", async () => {
  const [, near, far] = parties;
  if (near === undefined || far === undefined) throw new Error('Cannot test: there are no clients');
  const { admin } = cluster.api;
  await admin.apply(byPeer([{ podSelector: { matchLabels: { role: 'friend' } } }]));
  await label(far, { role: 'friend' });
  await label(near, { role: null });
  expect(await reachers()).toEqual(['shop/far']);
  await label(server, { app: 'other' });
  expect(await reachers()).toEqual(['shop/near', 'shop/far', 'other/guest']);
  await label(server, { app: 'server' });
  await label(near, { role: 'friend' });
  await label(far, { role: 'stranger' });
  expect(await reachers()).toEqual(['shop/near']);
  await admin.delete(byPeer([]));
});

test("a namespace's labels let its pods in and shut them out", async () => {
  const { admin } = cluster.api;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } };
  await admin.apply(byPeer([{ namespaceSelector: { matchLabels: { team: 'x' } } }]));
  expect(await reachers()).toEqual([]);
  await admin.patch(namespace, { metadata: { labels: { team: 'x' } } });
  expect(await reachers()).toEqual(['other/guest']);
  await admin.patch(namespace, { metadata: { labels: { team: null } } });
  expect(await reachers()).toEqual([]);
  await admin.delete(byPeer([]));
});

test('a namespace is known by the name that the API server puts into its labels', async () => {
  const { admin } = cluster.api;
  await admin.apply(byPeer([{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'other' } } }]));
  expect(await reachers()).toEqual(['other/guest']);
  await admin.delete(byPeer([]));
});

describe('an address that another pod gets', () => {
  const friends = policy('shop/server', {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
  });

  test('is judged by the new pod, on the same node from the first packet', async () => {
    await cluster.api.admin.apply(friends);
    const addresses = ['10.244.1.77', 'fd00:244:0:1::77'];
    for (let round = 0; round < 4; round++) {
      const role = round % 2 === 0 ? 'friend' : 'stranger';
      const client = await cluster.lab
        .node(1)
        .addPod({ namespace: 'shop', name: `client-${round}`, labels: { role }, addresses });
      expect(await dialled(client, server), role).toEqual(
        role === 'friend' ? ['open', 'open'] : ['refused', 'refused'],
      );
      await client.delete();
    }
    await cluster.api.admin.delete(friends);
  });

  test('is judged by the new pod on the other node once it has heard', async () => {
    await cluster.api.admin.apply(friends);
    const addresses = ['10.244.2.77', 'fd00:244:0:2::77'];
    for (const role of ['friend', 'stranger', 'friend', 'stranger']) {
      const client = await cluster.lab.node(2).addPod({ namespace: 'shop', name: 'same', labels: { role }, addresses });
      expect(await cluster.wrongs([...parties, client], { ports: PORTS })).toEqual([]);
      expect(await dialled(client, server), role).toEqual(
        role === 'friend' ? ['open', 'open'] : ['refused', 'refused'],
      );
      await client.delete();
    }
    await cluster.api.admin.delete(friends);
  });
});

async function dialled(from: Party, to: Party): Promise<readonly string[]> {
  const results = await from.probe.dial(
    to.addresses.map((address) => ({ address, port: 80, protocol: 'TCP' }) as const),
  );
  return results.map(({ outcome }) => outcome);
}
