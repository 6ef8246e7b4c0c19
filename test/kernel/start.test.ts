import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { familyOf } from '../../src/net/family.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import type { Attempt, RunningHammer, Target } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { podManifest, policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';
import { settledSnapshot } from './settled.ts';

// What reaches a pod, and what it reaches, around the moment in which its ADD returns.

describe.for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let near: LabPod;
  let far: LabPod;

  beforeAll(async () => {
    // However late the agent is on a loaded machine: what ADD does then is told elsewhere.
    cluster = await ProductCluster.start({ mode, backend, nodes: 2, conflist: { agentTimeoutMs: 8_000 } });
    nextHost = 32;
    const { lab } = cluster;
    lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
    lab.manifests.apply(
      policy('friendly/by-label', {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'friend' } } }] }],
        egress: [{ to: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'friend' } } }] }],
      }),
    );
    [near, far] = await Promise.all([
      lab.node(1).addPod({ namespace: 'clients', name: 'near' }),
      lab.node(2).addPod({ namespace: 'clients', name: 'far' }),
    ]);
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test('nothing that is forbidden passes once ADD has returned', async () => {
    const pod = await createPod(cluster.lab.node(1), { namespace: 'closed', name: 'server' });
    expect(await hammered(pod, { clients: [near, far], mode })).toEqual([]);
    await pod.delete();
  });

  test('nothing that is forbidden passes once ADD has returned, with the agent stopped', async () => {
    await cluster.agent(1).stop();
    const pod = await createPod(cluster.lab.node(1), { namespace: 'open', name: 'without-agent' });
    expect(await hammered(pod, { clients: [near, far], mode })).toEqual([]);
    await cluster.startAgent(1);
    await cluster.lab.sync();
    expect(await outcomes(near, pod)).toEqual(['open', 'open']);
    await pod.delete();
  });

  test('nothing that is forbidden passes once ADD has returned, with the agent killed and restarted meanwhile', async () => {
    for (const delay of [0, 20, 60, 120]) {
      const pod = await createPod(cluster.lab.node(1), { namespace: 'closed', name: `server-${delay}` });
      const killed = sleep(300 + delay).then(async () => cluster.agent(1).kill());
      const passed = await hammered(pod, { clients: [near], mode });
      await killed;
      expect(passed, `killed after ${delay} ms`).toEqual([]);
      const restarted = hammerAll(pod, { clients: [near], mode });
      const before = await arrived(pod);
      await cluster.startAgent(1);
      for (const { hammer } of await restarted) await hammer.stop();
      expect(await arrived(pod)).toBe(before);
      await pod.delete();
    }
  });

  test('what is allowed is never refused once ADD has returned, whichever end the new pod is', async () => {
    const node = cluster.lab.node(1);
    const friendly = await node.addPod({ namespace: 'friendly', name: 'old' });
    const pod = await createPod(node, { namespace: 'clients', name: 'new', labels: { role: 'friend' } });
    // Slow enough that the listener keeps up: what is asked is whether each is answered.
    const intervalMs = 25;
    const inward = await hammerAll(pod, { clients: [near, far, friendly], mode, intervalMs });
    const outward = await Promise.all(
      targetsOf(friendly.addresses).flatMap((target) =>
        (['TCP', 'UDP'] as const).map(async (protocol) => startHammer(pod, { ...target, protocol }, { intervalMs })),
      ),
    );
    await sleep(300);
    await pod.attach();
    // A neighbour solicitation that was sent before the pod could hear it is repeated after a second.
    await sleep(1500);
    const refused = await refusedAfter(pod.addTimes.endedAt, [...inward, ...outward]);
    expect(refused).toEqual([]);
    await pod.delete();
    await friendly.delete();
  });

  test('a pod that the source does not show is refused everything, until it shows it', async () => {
    const node = cluster.lab.node(1);
    const { manifests } = cluster.lab;
    const pod = await createPod(node, { namespace: 'open', name: 'unknown', manifest: false });
    expect(await hammered(pod, { clients: [near], mode })).toEqual([]);
    expect(await outcomes(pod, near)).toEqual(['refused', 'refused']);
    const object = podManifest(pod, { nodeName: node.name });
    manifests.apply(object);
    await cluster.lab.sync();
    expect([...(await outcomes(near, pod)), ...(await outcomes(pod, near))]).toEqual(Array(4).fill('open'));
    manifests.delete(object);
    await pod.delete();
  });

  test('a pod made again under its name is not taken for the one before', async () => {
    const node = cluster.lab.node(1);
    const { manifests } = cluster.lab;
    const first = await node.addPod({ namespace: 'open', name: 'twin', uid: 'first' });
    const stale = podManifest(first, { nodeName: node.name });
    await first.delete();
    manifests.apply(stale);
    await cluster.lab.sync();
    const second = await createPod(node, { namespace: 'open', name: 'twin', uid: 'second', manifest: false });
    expect(await hammered(second, { clients: [near], mode })).toEqual([]);
    manifests.apply(podManifest(second, { nodeName: node.name }));
    await cluster.lab.sync();
    expect(await outcomes(near, second)).toEqual(['open', 'open']);
    manifests.delete(stale);
    await second.delete();
  });

  test('of twenty pods added at once every one is judged, and nothing is left of them afterwards', async () => {
    const node = cluster.lab.node(1);
    await cluster.lab.sync();
    const before = await settledSnapshot(node);
    const pods = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        node.addPod({ namespace: index % 2 === 0 ? 'closed' : 'open', name: `crowd-${index}` }),
      ),
    );
    const targets = pods.map((pod): Target => ({ address: pod.addresses[0] ?? '', port: 80, protocol: 'TCP' }));
    const results = await near.probe.dial(targets);
    expect(results.map(({ outcome }) => outcome)).toEqual(
      pods.map((_, index) => (index % 2 === 0 ? 'refused' : 'open')),
    );
    await Promise.all(pods.map(async (pod) => pod.delete()));
    await cluster.lab.sync();
    expect(await settledSnapshot(node)).toEqual(before);
  });
});

test('with whenAgentDown allow, a pod added without an agent is open until an agent knows better', async () => {
  using cluster = await ProductCluster.start({ conflist: { whenAgentDown: 'allow' } });
  const node = cluster.lab.node(1);
  cluster.lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
  const client = await node.addPod({ namespace: 'clients', name: 'client' });
  await cluster.agent(1).stop();
  const pod = await node.addPod({ namespace: 'closed', name: 'server' });
  expect(await outcomes(client, pod)).toEqual(['open', 'open']);
  await cluster.startAgent(1);
  expect(await outcomes(client, pod)).toEqual(['refused', 'refused']);
});

// Of each lab: with room between them, because host-local gives out the addresses above the one that it gave last.
let nextHost = 0;

/** Makes a pod with addresses and a link address that are known before its ADD. */
async function createPod(node: LabNode, spec: PodSpec): Promise<PlannedPod> {
  const host = (nextHost += 8);
  const addresses = [`10.244.${node.number}.${host}`, `fd00:244:0:${node.number}::${host.toString(16)}`];
  const mac = `0a:58:0a:f4:02:${host.toString(16).padStart(2, '0')}`;
  const pod = await node.createPod({ addresses, mac, ...spec });
  await countArrivals(pod);
  return Object.assign(pod, { planned: { addresses, mac } });
}

interface Planned {
  readonly addresses: readonly string[];
  readonly mac: string;
}

type PlannedPod = LabPod & { readonly planned: Planned };

interface Named {
  readonly name: string;
  readonly hammer: RunningHammer;
}

/** Hammers a pod from before its ADD, over all families and protocols, and returns what came in after ADD had returned. */
async function hammered(
  pod: PlannedPod,
  from: { readonly clients: readonly LabPod[]; readonly mode: PodNetworkMode },
): Promise<readonly string[]> {
  const hammers = await hammerAll(pod, from);
  await sleep(200);
  await pod.attach();
  const before = await arrived(pod);
  await sleep(300);
  const after = await arrived(pod);
  const answered = await Promise.all(hammers.map(async (named) => answeredAfter(pod.addTimes.endedAt, named)));
  return [
    ...(after === before ? [] : [`${after - before} packets came in after ADD, ${before} before`]),
    ...answered.flat(),
  ];
}

/** Counts in the pod's own namespace: the times of a busy listener say little. */
async function countArrivals(pod: LabPod): Promise<void> {
  for (const tool of ['iptables', 'ip6tables'])
    for (const protocol of ['tcp', 'udp'])
      await output(pod.run, [
        `${tool}-nft`,
        '-t',
        'raw',
        '-A',
        'PREROUTING',
        '-i',
        'eth0',
        '-p',
        protocol,
        '--dport',
        '80',
      ]);
}

async function arrived(pod: LabPod): Promise<number> {
  const listings = await Promise.all(
    ['iptables', 'ip6tables'].map(async (tool) => output(pod.run, [`${tool}-nft`, '-t', 'raw', '-nvxL', 'PREROUTING'])),
  );
  const counts = listings.join('\n').matchAll(/^ *([0-9]+) .* dpt:80/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function answeredAfter(moment: number, { name, hammer }: Named): Promise<readonly string[]> {
  const attempts = await hammer.stop();
  const answered = attempts.filter(({ startedAt, outcome }) => startedAt > moment && outcome === 'open');
  return answered.length === 0 ? [] : [`${name}: ${answered.length} of ${attempts.length} answered`];
}

async function hammerAll(
  pod: PlannedPod,
  {
    clients,
    mode,
    intervalMs = 5,
  }: { readonly clients: readonly LabPod[]; readonly mode: PodNetworkMode; readonly intervalMs?: number },
): Promise<readonly Named[]> {
  const { addresses, mac } = pod.planned;
  const hammers = clients.flatMap((client) =>
    targetsOf(addresses).map(async (target, index) => {
      if (mode === 'bridge' && sharesBridge(client, target.address))
        await addNeighbour(client, { address: target.address, mac });
      return [
        await startHammer(client, { ...target, protocol: 'TCP' }, { intervalMs }),
        await startHammer(client, { ...target, protocol: 'UDP' }, { intervalMs, sourcePort: 4000 + index }),
      ];
    }),
  );
  return (await Promise.all(hammers)).flat();
}

async function startHammer(
  client: LabPod,
  target: Target,
  options: { readonly intervalMs: number; readonly sourcePort?: number },
): Promise<Named> {
  return {
    name: `${client.key} -> ${target.protocol} ${target.address}`,
    hammer: await client.probe.hammer(target, options),
  };
}

function targetsOf(addresses: readonly string[]): readonly Omit<Target, 'protocol'>[] {
  return addresses.map((address) => ({ address, port: 80 }));
}

function sharesBridge(client: LabPod, address: string): boolean {
  const network = (text: string) => text.slice(0, text.lastIndexOf(familyOf(text) === 'ipv4' ? '.' : ':'));
  return client.addresses.some((own) => network(own) === network(address));
}

async function addNeighbour(
  client: LabPod,
  { address, mac }: { readonly address: string; readonly mac: string },
): Promise<void> {
  await output(client.run, ['ip', 'neighbour', 'replace', address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent']);
}

/** Returns a line for each flow of which an attempt begun after a moment was refused, or none was answered. */
async function refusedAfter(moment: number, hammers: readonly Named[]): Promise<readonly string[]> {
  const lines = hammers.map(async ({ name, hammer }) => {
    const attempts = (await hammer.stop()).filter(({ startedAt }) => startedAt > moment);
    // One that has not ended yet says nothing.
    const refused = attempts.filter(({ outcome }) => outcome !== 'open' && outcome !== 'timeout');
    const answered = attempts.filter(({ outcome }) => outcome === 'open').length;
    if (refused.length === 0 && answered > 0) return [];
    return [
      `${name}: ${answered} of ${attempts.length} answered; ${refused
        .slice(0, 3)
        .map((attempt) => told(attempt, moment))
        .join(', ')}`,
    ];
  });
  return (await Promise.all(lines)).flat();
}

function told({ outcome, error, startedAt }: Attempt, moment: number): string {
  return `${outcome} ${error ?? ''} ${(startedAt - moment).toFixed(1)} ms after ADD`;
}

async function outcomes(from: LabPod, to: LabPod): Promise<readonly string[]> {
  const targets = targetsOf(to.addresses).map((target): Target => ({ ...target, protocol: 'TCP' }));
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}
