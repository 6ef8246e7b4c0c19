import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import { monotonicMs, type RunningHammer, type Target } from '../lab/probe.ts';
import { ApiCluster } from './apiCluster.ts';

// The time around a pod's ADD, with a kubelet that takes its time: the API server shows a pod's addresses long after its first packet.

let cluster: ApiCluster;
let near: LabPod;
let far: LabPod;
let nextHost = 100;

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp' });
  const { lab, api } = cluster;
  await api.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await api.admin.apply(
    policy('shop/closed', { podSelector: { matchLabels: { app: 'closed' } }, policyTypes: ['Ingress'] }),
  );
  await api.admin.apply(
    policy('shop/friends', {
      podSelector: { matchLabels: { app: 'server' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
    }),
  );
  near = await lab.node(1).addPod({ namespace: 'shop', name: 'near' });
  far = await lab.node(2).addPod({ namespace: 'shop', name: 'far' });
  await lab.sync();
});
afterAll(() => cluster[Symbol.dispose]());

describe('a pod that must not be reached', () => {
  test.for([0, 100, 1000])('never is, with its addresses published %i ms after ADD', async (publishAfterMs) => {
    const { pod, hammers } = await create({
      name: `closed-${publishAfterMs}`,
      labels: { app: 'closed' },
      publishAfterMs,
    });
    await start(pod);
    await pod.published;
    await cluster.lab.sync();
    expect(await arrivals(pod, hammers)).toEqual([]);
    await pod.delete();
  });

  test('never is, with an ADD that begins before the watch shows the pod', async () => {
    const { pod, hammers } = await create({ name: 'unseen', labels: { app: 'closed' } });
    await cluster.api.cutOff();
    // The API server has the object, and what it says of it to the node is lost, and sent again later.
    await pod.announce();
    const added = start(pod);
    await sleep(400);
    await cluster.api.reconnect();
    await added;
    await cluster.lab.sync();
    expect(await arrivals(pod, hammers)).toEqual([]);
    await pod.delete();
  });

  test('never is, when the API server shows it long after ADD has returned', async () => {
    const { pod, hammers } = await create({ name: 'late', labels: { app: 'closed' }, publishAfterMs: Infinity });
    await pod.announce();
    await cluster.api.cutOff();
    await start(pod);
    await sleep(300);
    await cluster.api.reconnect();
    await pod.publish();
    await cluster.lab.sync();
    expect(await arrivals(pod, hammers)).toEqual([]);
    await pod.delete();
  });
});

describe('the first connection of a pod to one on another node that lets it in', () => {
  const KUBELET_MS = 2000;
  let server: LabPod;

  beforeAll(async () => {
    server = await cluster.lab.node(2).addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } });
    await cluster.lab.sync();
  });

  test('opens before the API server shows its addresses', async () => {
    const pod = await cluster.lab.node(1).addPod({ ...FRIEND, name: 'told', publishAfterMs: Infinity });
    const openedAt = await firstOpen(pod, server);
    expect((await cluster.api.cluster()).pods.get(pod.key)?.addresses).toEqual([]);
    tell('sharing addresses, before the kubelet had said anything', openedAt - pod.addTimes.endedAt);
    await pod.publish();
    await pod.delete();
  });

  test('opens only afterwards where agents do not share addresses', async () => {
    await restartAgents(['--no-share-addresses']);
    const pod = await cluster.lab.node(1).addPod({ ...FRIEND, name: 'untold', publishAfterMs: KUBELET_MS });
    const openedAt = await firstOpen(pod, server);
    // Published before anything else could be known: whoever is asked now has it.
    expect((await cluster.api.cluster()).pods.get(pod.key)?.addresses).toEqual(pod.addresses);
    tell(`not sharing, with a kubelet that takes ${KUBELET_MS} ms`, openedAt - pod.addTimes.endedAt);
    await pod.delete();
    await restartAgents([]);
  });

  const FRIEND = { namespace: 'shop', labels: { role: 'friend' } };

  async function restartAgents(args: readonly string[]): Promise<void> {
    const { product } = cluster;
    await Promise.all([1, 2].map(async (number) => product.agent(number).stop()));
    await Promise.all([1, 2].map(async (number) => product.startAgent(number, { args })));
  }
});

/** Makes a pod of node 1 and has both clients try it from before its ADD. Like a container, its listener is started when ADD has returned. */
async function create(spec: Omit<PodSpec, 'namespace'>): Promise<{ pod: LabPod; hammers: readonly RunningHammer[] }> {
  const host = nextHost++;
  const addresses = [`10.244.1.${host}`, `fd00:244:0:1::${host}`];
  const pod = await cluster.lab.node(1).createPod({ ...spec, namespace: 'shop', addresses, listens: false });
  const targets = addresses.flatMap((address) =>
    (['TCP', 'UDP'] as const).map((protocol): Target => ({ address, port: 80, protocol })),
  );
  const hammers = [near, far].flatMap(({ probe }) =>
    targets.map(async (target) => probe.hammer(target, { intervalMs: 5 })),
  );
  return { pod, hammers: await Promise.all(hammers) };
}

async function start(pod: LabPod): Promise<void> {
  await pod.attach();
  await pod.listen();
}

/** Ends the hammers and returns what came in. */
async function arrivals(pod: LabPod, hammers: readonly RunningHammer[]): Promise<readonly string[]> {
  const attempts = await Promise.all(hammers.map(async (one) => one.stop()));
  const tried = attempts.map((each) => each.filter(({ startedAt }) => startedAt > pod.addTimes.endedAt).length);
  expect(Math.min(...tried)).toBeGreaterThan(5);
  return (await pod.probe.arrivals()).map(({ protocol, from }) => `${protocol} from ${from}`);
}

/** Tries again and again, and returns when one was answered first. */
async function firstOpen(from: LabPod, to: LabPod): Promise<number> {
  const [address = ''] = to.addresses;
  for (const deadline = monotonicMs() + 30_000; monotonicMs() < deadline; await sleep(5)) {
    const [result] = await from.probe.dial([{ address, port: 80, protocol: 'TCP' }]);
    if (result?.outcome === 'open') return monotonicMs();
  }
  throw new Error(`Cannot connect from ${from.key} to ${to.key}: not once within 30 s`);
}

function tell(how: string, milliseconds: number): void {
  process.stdout.write(`First allowed connection to another node, ${how}: ${Math.round(milliseconds)} ms after ADD\n`);
}
