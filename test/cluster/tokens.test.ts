import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { ApiCluster } from './apiCluster.ts';

// Agents that find the API server and their token as a pod of the cluster does. A token ends; the kubelet has put the next one in its place before.

const DENY = policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] });

let cluster: ApiCluster;
let client: LabPod;
let server: LabPod;

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', nodes: 1, inCluster: true });
  client = await cluster.lab.node(1).addPod({ namespace: 'shop', name: 'client' });
  server = await cluster.lab.node(1).addPod({ namespace: 'shop', name: 'server' });
});
afterAll(() => cluster[Symbol.dispose]());

async function wrongs(): Promise<readonly string[]> {
  return cluster.wrongs([client, server], { ports: [80] });
}

async function statusText(): Promise<string> {
  return (await cluster.lab.node(1).product(['status'])).stdout;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = monotonicMs() + 60_000; !(await condition()); await sleep(50))
    if (monotonicMs() > deadline) throw new Error('Cannot go on: what was waited for did not come within a minute');
}

test('the next token is used when the one before has ended, and until there is one everything stays as it was', async () => {
  const { api } = cluster;
  await api.admin.apply(DENY);
  expect(await wrongs()).toEqual([]);

  const endsAt = monotonicMs() + 10_000;
  api.giveToken('node-1', api.account.token('node-1', { seconds: 10 }));
  await cluster.product.agent(1).kill();
  await cluster.product.startAgent(1);
  await sleep(endsAt + 1000 - monotonicMs());
  // One that has just been started remembers nobody, and has no watches.
  await api.apiServer().kill();
  await api.startApiServer();
  await until(async () => (await statusText()).includes('401'));
  await api.admin.delete(DENY);
  expect(
    (await client.probe.dial([{ address: server.addresses[0] ?? '', port: 80, protocol: 'TCP' }]))[0]?.outcome,
  ).toBe('refused');

  api.giveToken('node-1', api.account.token('node-1'));
  await until(async () => !(await statusText()).includes('away'));
  expect(await wrongs()).toEqual([]);
});
