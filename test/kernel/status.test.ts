import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { backendUnderTest, isNftables, unhookIngress } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';

// What `status` says of real nodes, by its first line and its exit code.

let cluster: ProductCluster;
let node: LabNode;
beforeAll(async () => {
  cluster = await ProductCluster.start();
  node = cluster.lab.node(1);
  cluster.lab.manifests.apply(policy('shop/deny', { podSelector: {} }));
  await node.addPod({ namespace: 'shop', name: 'server' });
  await cluster.lab.sync();
});
afterAll(() => cluster[Symbol.dispose]());

const answer = async (...args: readonly string[]) => {
  const { exitCode, stdout } = await node.product(['status', ...args]);
  return [exitCode, stdout.split('\n')[0]];
};

test('a node that is well is protected, and its hooks were looked at', async () => {
  expect(await answer()).toEqual([0, 'This node is protected.']);
  const { stdout } = await node.product(['status']);
  expect(stdout).toMatch(/^hooks +in place/m);
  expect(stdout).toMatch(/^pods +1: 1 isolated by policies, 0 that no policy selects, 0 quarantined$/m);
});

test('a hook that is missing for a moment, until the agent sees it, needs nobody', async () => {
  await unhookIngress(node, backendUnderTest);
  const gone = isNftables
    ? ['nft', 'flush', 'chain', 'inet', 'kube-nwplcy', 'forward']
    : [backendUnderTest, '-F', 'FORWARD'];
  await output(node.run, gone);
  expect(await answer()).toEqual([0, 'This node is protected.']);
  const { repairs } = JSON.parse((await node.product(['status', '--output', 'json'])).stdout) as AgentStatus;
  expect(repairs).toBeGreaterThan(0);
});

test('br_netfilter that is off leaves the node open', async () => {
  const set = (value: number) =>
    output(node.run, ['sh', '-c', `echo ${value} >/proc/sys/net/bridge/bridge-nf-call-iptables`]);
  await set(0);
  const told = await answer();
  await set(1);
  expect(told).toEqual([1, 'This node is NOT protected as it should be:']);
});

test('a manifest that cannot be used needs a person, and opens nothing', async () => {
  cluster.lab.manifests.write('bad.yaml', 'kind: Pod\n');
  await node.product(['sync']);
  const told = await answer();
  cluster.lab.manifests.remove('bad.yaml');
  expect(told).toEqual([1, 'This node is protected by what was known last, and needs a person:']);
});

test('--wait-synced waits for an agent that is still starting', async () => {
  await cluster.agent(1).stop();
  cluster.launchAgent(1);
  expect(await answer('--wait-synced')).toEqual([0, 'This node is protected.']);
});
