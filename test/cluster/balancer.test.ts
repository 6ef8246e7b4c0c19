import { afterAll, beforeAll, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import { ALLOWED_PORT, FORBIDDEN_PORT, Traffic } from '../kernel/traffic.ts';
import type { LabPod } from '../lab/pod.ts';
import { ApiCluster } from './apiCluster.ts';
import type { ApiServerName } from './controlPlane.ts';

// Two API servers on one etcd, and a balancer of TCP before them.

const PORTS = [ALLOWED_PORT, FORBIDDEN_PORT];

let cluster: ApiCluster;
let parties: readonly [server: LabPod, client: LabPod, other: LabPod];

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', balanced: true, listen: PORTS });
  const { lab, api } = cluster;
  await api.startApiServer('second');
  const [first, second] = [lab.node(1), lab.node(2)];
  parties = await Promise.all([
    first.addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } }),
    second.addPod({ namespace: 'shop', name: 'client', labels: { role: 'client' } }),
    second.addPod({ namespace: 'shop', name: 'other', labels: { role: 'other' } }),
  ]);
});
afterAll(() => cluster[Symbol.dispose]());

test('what one or the other says is in force, and nothing wrong passes when agents are turned from one to the other', async () => {
  const { api, lab } = cluster;
  const [server, client] = parties;
  await admit([]);
  await lab.sync();
  const traffic = await Traffic.start(client, server);
  const turns: readonly ApiServerName[] = ['second', 'first', 'second'];
  for (const name of turns) {
    await admit(['other']);
    await api.balance(name);
    expect(await outcome()).toBe('open');
    await admit([]);
    expect(await outcome()).toBe('refused');
  }
  expect(await traffic.wrongs()).toEqual([]);
});

test('one that is gone is missed by nobody', async () => {
  const { api } = cluster;
  await api.balance('second');
  await api.apiServer('first').kill();
  await admit(['other']);
  expect(await cluster.wrongs(parties, { ports: PORTS })).toEqual([]);
  await api.startApiServer('first');
});

/** Returns what becomes of a connection of the other pod once all nodes are in step. */
async function outcome(): Promise<string | undefined> {
  await cluster.lab.sync();
  const [server, , other] = parties;
  const target = { address: server.addresses[0] ?? '', port: ALLOWED_PORT, protocol: 'TCP' } as const;
  return (await other.probe.dial([target]))[0]?.outcome;
}

/** Lets the client in, and these roles. */
async function admit(roles: readonly string[]): Promise<void> {
  const ports = ['TCP', 'UDP'].map((protocol) => ({ protocol, port: ALLOWED_PORT }));
  const peers = ['client', ...roles];
  const from = peers.map((role) => ({ podSelector: { matchLabels: { role } } }));
  const spec = {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from, ports }],
  };
  await cluster.api.admin.apply(policy('shop/server', spec));
}
