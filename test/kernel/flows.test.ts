import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../lab/manifests.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import type { OpenStream, StreamState } from '../lab/probe.ts';
import { unhookIngress } from './backend.ts';
import { podManifest, policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// Flows that are older than what is said of them.

const STREAMS = ['TCP echo', 'TCP download', 'UDP echo', 'UDP download'] as const;

describe.for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let client: LabPod;
  let server: LabPod;
  let other: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, nodes: 2 });
    const { lab } = cluster;
    lab.applyNamespace('shop', { team: 'shop' });
    lab.applyNamespace('clients', { team: 'clients' });
    [client, server, other] = await Promise.all([
      lab.node(1).addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } }),
      lab.node(1).addPod({ namespace: 'shop', name: 'server' }),
      lab.node(2).addPod({ namespace: 'clients', name: 'other', labels: { role: 'client' } }),
    ]);
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  const byTeam = { from: [{ namespaceSelector: { matchLabels: { team: 'clients' } } }] };
  const byRole = { from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }] };
  const allow = (rule: object) =>
    policy('shop/ingress', { podSelector: {}, policyTypes: ['Ingress'], ingress: [rule] });
  const denied = policy('shop/ingress', { podSelector: {}, policyTypes: ['Ingress'] });

  test.for<{ name: string; before: readonly Manifest[]; cut: () => void }>([
    {
      name: 'the ingress policy is tightened',
      before: [allow({})],
      cut: () => cluster.lab.manifests.apply(denied),
    },
    {
      name: 'an egress policy comes',
      before: [],
      cut: () => cluster.lab.manifests.apply(policy('clients/egress', { podSelector: {}, policyTypes: ['Egress'] })),
    },
    {
      name: 'the policy that allowed it is deleted under default deny',
      before: [policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] }), allow({})],
      cut: () => cluster.lab.manifests.delete(denied),
    },
    {
      name: "the namespace's label changes",
      before: [allow(byTeam)],
      cut: () => cluster.lab.applyNamespace('clients', { team: 'strangers' }),
    },
    {
      name: "the clients' labels change",
      before: [allow(byRole)],
      cut: () => {
        for (const [pod, nodeName] of [
          [client, 'node-1'],
          [other, 'node-2'],
        ] as const)
          cluster.lab.manifests.apply(podManifest(pod, { nodeName, labels: { role: 'stranger' } }));
      },
    },
  ])('live flows end when $name', async ({ before, cut }) => {
    const { lab } = cluster;
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => restore());
    for (const manifest of before) lab.manifests.apply(manifest);
    await lab.sync();
    const streams = (await Promise.all([client, other].map(async (pod) => openStreams(pod, server)))).flat();
    await sleep(100);
    cut();
    await lab.sync();
    const ends = await Promise.all(
      streams.map(async ({ name, stream }) => [
        name,
        (await stream.waitForEnd({ stallMs: 700, timeoutMs: 4000 }))?.how,
      ]),
    );
    expect(ends.map(([name, how]) => [name, how === 'ECONNREFUSED' ? 'stalled' : how])).toEqual(
      // Who only sends may go on: nothing forbids the server to begin that flow itself.
      streams.map(({ name, kind }) => [
        name,
        kind === 'UDP download' ? undefined : kind.startsWith('TCP') ? 'reset' : 'stalled',
      ]),
    );
  });

  test('a pod that only sends stops when it may not begin that flow itself', async () => {
    const { lab } = cluster;
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => restore());
    const streams = (await Promise.all([client, other].map(async (pod) => openStreams(pod, server)))).flat();
    await sleep(100);
    lab.manifests.apply(policy('shop/ingress', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
    await lab.sync();
    const ends = await Promise.all(
      streams.map(async ({ stream }) => (await stream.waitForEnd({ stallMs: 700, timeoutMs: 4000 }))?.how),
    );
    expect(ends.map((how) => (how === 'ECONNREFUSED' ? 'stalled' : how))).toEqual(
      streams.map(({ kind }) => (kind.startsWith('TCP') ? 'reset' : 'stalled')),
    );
  });

  /** Puts everything back to where `beforeAll` had it. */
  async function restore(): Promise<void> {
    const { lab } = cluster;
    for (const name of ['shop/ingress', 'shop/deny', 'clients/egress', 'clients/unrelated'])
      lab.manifests.delete(policy(name, {}));
    lab.applyNamespace('clients', { team: 'clients' });
    for (const [pod, nodeName] of [
      [client, 'node-1'],
      [other, 'node-2'],
    ] as const)
      lab.manifests.apply(podManifest(pod, { nodeName, labels: { role: 'client' } }));
    await lab.sync();
  }

  test('flows that stay allowed are not disturbed by other changes', async () => {
    const { lab } = cluster;
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => restore());
    lab.manifests.apply(allow({ ...byTeam, ports: [{ port: 80 }, { port: 80, protocol: 'UDP' }] }));
    await lab.sync();
    const streams = (await Promise.all([client, other].map(async (pod) => openStreams(pod, server)))).flat();
    const states = async () => Promise.all(streams.map(async ({ stream }) => stream.state()));
    const before = await states();
    lab.manifests.apply(allow(byTeam));
    await lab.sync();
    lab.manifests.apply(policy('clients/unrelated', { podSelector: {}, policyTypes: ['Ingress'] }));
    await lab.sync();
    const pods = await Promise.all(
      [1, 2, 3].map(async (index) => lab.node(1).addPod({ namespace: 'clients', name: `more-${index}` })),
    );
    await unhookIngress(lab.node(1), backend);
    await cluster.agent(1).stop();
    await cluster.startAgent(1);
    await Promise.all(pods.map(async (pod) => pod.delete()));
    lab.manifests.delete(policy('clients/unrelated', {}));
    await lab.sync();
    await sleep(300);
    const after = await states();
    expect(
      streams.map(({ name }, index) => [name, after[index]?.ended?.how, grew(before[index], after[index])]),
    ).toEqual(streams.map(({ name }) => [name, undefined, true]));
  });

  describe.for(['live agent', 'no agent'] as const)('an address that is used again, %s', (agent) => {
    const ADDRESSES =
      agent === 'live agent' ? ['10.244.1.200', 'fd00:244:0:1::c8'] : ['10.244.1.210', 'fd00:244:0:1::d2'];
    const closed = policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });

    test('flows to the old pod, and replies to flows that it had begun, do not reach the new one', async () => {
      const { lab } = cluster;
      const node = lab.node(1);
      lab.manifests.apply(closed);
      await lab.sync();
      const old = await node.addPod(at(ADDRESSES, { namespace: 'clients', name: `old-${agent.replace(' ', '-')}` }));
      const inward = (await Promise.all([client, other].map(async (pod) => openStreams(pod, old)))).flat();
      const outward = (await Promise.all([client, other].map(async (pod) => openStreams(old, pod)))).flat();
      await sleep(100);
      if (agent === 'no agent') await cluster.agent(1).stop();
      await old.delete();
      const next = await node.createPod(
        at(ADDRESSES, { namespace: 'closed', name: `next-${agent.replace(' ', '-')}` }),
      );
      await count(next);
      await next.attach();
      const before = await counted(next);
      await sleep(600);
      expect(await counted(next)).toEqual(before);
      void [inward, outward];
      if (agent === 'no agent') await cluster.startAgent(1);
      await next.delete();
      lab.manifests.delete(closed);
      await lab.sync();
    });
  });
});

interface NamedStream {
  readonly name: string;
  readonly kind: (typeof STREAMS)[number];
  readonly stream: OpenStream;
}

/** Opens a stream of each kind in each family. */
async function openStreams(from: LabPod, to: LabPod): Promise<readonly NamedStream[]> {
  const opened = to.addresses.flatMap((address) =>
    STREAMS.map(async (text) => {
      const [protocol, kind] = text.split(' ') as ['TCP' | 'UDP', 'echo' | 'download'];
      const stream = await from.probe.openStream({ address, port: 80, protocol }, { kind, intervalMs: 10 });
      return { name: `${from.key} -> ${text} ${address}`, kind: text, stream };
    }),
  );
  return Promise.all(opened);
}

function grew(before: StreamState | undefined, after: StreamState | undefined): boolean {
  return (
    (after?.received ?? 0) > (before?.received ?? 0) &&
    (after?.lastReceivedAt ?? 0) > (before?.lastReceivedAt ?? 0) + 500
  );
}

function at(addresses: readonly string[], spec: PodSpec): PodSpec {
  return { ...spec, addresses };
}

/** Counts in a pod's own namespace what comes in. */
async function count(pod: LabPod): Promise<void> {
  for (const tool of ['iptables-nft', 'ip6tables-nft'])
    for (const protocol of ['tcp', 'udp'])
      await pod.run([tool, '-t', 'raw', '-A', 'PREROUTING', '-i', 'eth0', '-p', protocol]);
}

async function counted(pod: LabPod): Promise<readonly number[]> {
  const listings = await Promise.all(
    ['iptables-nft', 'ip6tables-nft'].map(
      async (tool) => (await pod.run([tool, '-t', 'raw', '-nvxL', 'PREROUTING'])).stdout,
    ),
  );
  return [...listings.join('\n').matchAll(/^ *([0-9]+) +[0-9]+ +\S* *(?:tcp|udp|6|17) /gm)].map(([, packets]) =>
    Number(packets),
  );
}
