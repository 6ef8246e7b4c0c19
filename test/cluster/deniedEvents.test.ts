import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { manifestObjects } from '../cniConf/manifests.ts';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import type { ApiObject } from './apiClient.ts';
import { ApiCluster } from './apiCluster.ts';

// With --denied-events agents tell of refusals at the pods, if they may.

let cluster: ApiCluster;
let client: LabPod;
let server: LabPod;

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp' });
  const { lab, product, api } = cluster;
  await product.agent(1).stop();
  await product.startAgent(1, { args: ['--denied-events'] });
  [client, server] = await Promise.all([
    lab.node(2).addPod({ namespace: 'clients', name: 'client' }),
    lab.node(1).addPod({ namespace: 'shop', name: 'server' }),
  ]);
  await api.admin.apply(policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
  await lab.sync();
});
afterAll(() => cluster[Symbol.dispose]());

test('who may not write them is told what is missing, and refuses all the same', async () => {
  await whileRefused(async () =>
    expect(cluster.product.agent(1).log()).toMatch(
      /Cannot tell of refusals by Events: 403 .* cannot create resource .*apply cni-conf\/denied-events.yaml/,
    ),
  );
  expect(await events()).toEqual([]);
});

test('an Event is there of the pod that refused, with its uid, and one for all packets', async () => {
  for (const object of manifestObjects('denied-events.yaml')) await cluster.api.admin.apply(object);
  // Whom the first try was about has to wait for the next one.
  const { product } = cluster;
  await product.agent(1).stop();
  await product.startAgent(1, { args: ['--denied-events'] });
  await whileRefused(async () => expect((await events()).length).toBe(1));
  const [event] = await events();
  expect(event).toMatchObject({
    type: 'Warning',
    reason: 'NetworkPolicyDenied',
    involvedObject: { kind: 'Pod', namespace: 'shop', name: 'server', uid: server.uid },
    source: { component: 'kube-nwplcy', host: 'node-1' },
    message: expect.stringMatching(/^Refused [0-9]+ packets? from [^ ]+.* to port 80\/TCP.*: isolated by shop\/deny$/),
  });
});

/** Resolves once it holds. What was refused before the agent's first look would be told by nobody, so there is always more. */
async function whileRefused(holds: () => Promise<void>): Promise<void> {
  const [address = ''] = server.addresses;
  await vi.waitFor(
    async () => {
      const [result] = await client.probe.dial([{ address, port: 80, protocol: 'TCP' }]);
      expect(result?.outcome).toBe('refused');
      await holds();
    },
    { timeout: 90_000, interval: 500 },
  );
}

async function events(): Promise<readonly ApiObject[]> {
  const all = await cluster.api.admin.list({ apiVersion: 'v1', kind: 'Event' });
  return all.filter(({ reason }) => String(reason).startsWith('NetworkPolicy'));
}
