import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MOST_AT_HEAD } from '../../src/rules/iptables/hooks.ts';
import { parseChains } from '../../src/rules/iptables/kernelChains.ts';
import { unbucketed } from '../helpers/unbucketed.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// Where many pods are on a node, iptables looks for theirs in buckets: the agent moves their hooks there, DEL and CHECK must find them, and every
// packet its pod.

const PORTS = [80, 81];
const SERVER = policy('shop/server', {
  podSelector: { matchLabels: { role: 'server' } },
  policyTypes: ['Ingress'],
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }], ports: [{ port: 80 }] }],
});

describe.skipIf(isNftables).for(PLACES)('a node with many pods, $mode, $backend', ({ mode, backend }) => {
  test('each is judged as before, CHECK vouches for it, and DEL leaves nothing of it, with the agent and without', async () => {
    using cluster = await ProductCluster.start({ mode, backend, listen: PORTS });
    const node = cluster.lab.node(1);
    cluster.lab.manifests.apply(SERVER);
    const server = await node.addPod({ namespace: 'shop', name: 'server', labels: { role: 'server' } });
    const client = await node.addPod({ namespace: 'shop', name: 'client', labels: { role: 'client' } });
    const judged = async () => (await client.probe.dial(targetsOf(server))).map(({ outcome }) => outcome);
    await cluster.lab.sync();
    const few = await judged();
    expect(new Set(few)).toEqual(new Set(['open', 'refused']));
    const before = await ours(node, backend);

    const others = await Promise.all(numbers(2 * MOST_AT_HEAD).map(async (index) => addOther(node, index)));
    await cluster.lab.sync();
    expect(await heads(node, backend)).not.toMatch(/shop\/(?:server|client)/);
    expect(await judged()).toEqual(few);
    const stranger = others.at(-1);
    expect(
      await stranger?.probe.dial(targetsOf(server)).then((dialled) => dialled.map(({ outcome }) => outcome)),
    ).toEqual(few.map(() => 'refused'));
    for (const pod of [server, client, ...others]) await pod.check();

    // For DEL's guess where to look: half of them are long there, so that it is right for some and wrong for others.
    age(node, others.slice(0, MOST_AT_HEAD));
    await Promise.all(others.slice(0, -2).map(async (pod) => pod.delete()));
    await cluster.agent(1).stop();
    for (const pod of others.slice(-2)) await pod.delete();
    for (const pod of [server, client]) await pod.check();
    expect(await judged()).toEqual(few);
    await cluster.startAgent(1);
    expect(await ours(node, backend)).toEqual(before);
    expect(await judged()).toEqual(few);
  });
});

async function addOther(node: LabNode, index: number): Promise<LabPod> {
  return node.addPod({ namespace: 'shop', name: `other-${index}`, listens: false });
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function targetsOf({ addresses }: LabPod) {
  return addresses.flatMap((address) => PORTS.map((port) => ({ address, port, protocol: 'TCP' }) as const));
}

function age(node: LabNode, pods: readonly LabPod[]): void {
  const directory = node.inside(`${node.runtimeDir}/attachments`);
  const ids = new Set(pods.map(({ containerId }) => containerId));
  const longAgo = new Date(Date.now() - 3_600_000);
  const own = readdirSync(directory).filter((name) => ids.has(name.split(':')[0] ?? ''));
  expect(own).toHaveLength(pods.length);
  for (const name of own) utimesSync(join(directory, name), longAgo, longAgo);
}

/** What stands at the heads of the chains of hooks. */
async function heads(node: LabNode, backend: string): Promise<string> {
  const chains = ['NWPLCY-EGRESS', 'NWPLCY-SOURCES', 'NWPLCY-INGRESS'];
  return (await Promise.all(chains.map(async (chain) => output(node.run, [backend, '-S', chain])))).join('');
}

/** Our chains of both families, whatever way they came to hold what they hold. */
async function ours(node: LabNode, backend: string): Promise<unknown> {
  const families = [backend, backend.replace('iptables', 'ip6tables')].map(async (program) => {
    const chains = [...unbucketed(parseChains(await output(node.run, [program, '-S'])))];
    return chains
      .filter(([name]) => name.startsWith('NWPLCY-'))
      .map(([name, rules]) => `${name}: ${(name === 'NWPLCY-PROFILES' ? rules.toSorted() : rules).join('\n')}`)
      .toSorted();
  });
  return Promise.all(families);
}
