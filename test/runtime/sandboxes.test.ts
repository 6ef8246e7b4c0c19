import { deepStrictEqual } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs, type Target } from '../lab/probe.ts';
import { LISTEN } from './image.ts';
import { RuntimeNode } from './runtimeNode.ts';
import { connecting, outcomes, tries } from './traffic.ts';

// Pods that a real container runtime makes, with real processes in them.

let at: RuntimeNode;
let near: LabPod;
let far: LabPod;
let before: unknown;

beforeAll(async () => {
  at = await RuntimeNode.start();
  at.lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
  const peers = [{ podSelector: { matchLabels: { role: 'friend' } }, namespaceSelector: {} }];
  at.lab.manifests.apply(
    policy('friendly/by-label', {
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: peers }],
      egress: [{ to: peers }],
    }),
  );
  [near, far] = await Promise.all([
    at.node.addPod({ namespace: 'clients', name: 'near', labels: { role: 'friend' } }),
    at.lab.node(2).addPod({ namespace: 'clients', name: 'far' }),
  ]);
  await at.lab.sync();
});
afterAll(() => at[Symbol.dispose]());
beforeEach(async () => {
  before = await at.remains();
});
afterEach(async () => {
  await at.clear();
  deepStrictEqual(await at.remains(), before);
});

test('a container that connects from its first moment on reaches what it may, and nothing else', async () => {
  const pod = await at.runSandbox({ namespace: 'friendly', name: 'client' });
  await far.probe.forgetArrivals();
  await pod.startContainer(connecting([...near.addresses, ...far.addresses]));
  expect(await tries(pod, { since: 0 })).toEqual(
    new Set([...near.addresses.map((each) => `${each} open`), ...far.addresses.map((each) => `${each} closed`)]),
  );
  expect(await far.probe.arrivals()).toEqual([]);
});

test('a container that listens from its first moment on is reached by those who may, and by nobody else', async () => {
  const address = at.nextAddress();
  const target: Target = { address, port: 80, protocol: 'TCP' };
  const [allowed, forbidden] = await Promise.all([
    near.probe.hammer(target, { intervalMs: 20 }),
    far.probe.hammer(target, { intervalMs: 5 }),
  ]);
  const pod = await at.runSandbox({ namespace: 'friendly', name: 'server' });
  expect((await pod.addresses())[0]).toBe(address);
  await pod.startContainer(LISTEN);
  const startedAt = monotonicMs();
  // An address resolution that began before the pod could hear it is repeated after a second.
  await sleep(1500);
  const asked = (await allowed.stop()).filter((attempt) => attempt.startedAt > startedAt);
  expect(new Set(asked.map(({ outcome }) => outcome)).isSubsetOf(new Set(['open', 'timeout']))).toBe(true);
  expect(asked.filter(({ outcome }) => outcome === 'open').length).toBeGreaterThan(10);
  expect((await forbidden.stop()).filter(({ outcome }) => outcome === 'open')).toEqual([]);
});

test('of twenty sandboxes made and removed at once every one is judged', async () => {
  const specs = Array.from({ length: 20 }, (_, index) => ({
    namespace: index % 2 === 0 ? 'closed' : 'open',
    name: `crowd-${index}`,
  }));
  const pods = await Promise.all(specs.map(async (spec) => at.runSandbox(spec)));
  await Promise.all(pods.map(async (pod) => pod.startContainer(LISTEN)));
  const expected = pods.flatMap(({ namespace }) =>
    namespace === 'closed' ? ['refused', 'refused'] : ['open', 'open'],
  );
  for (const client of [near, far]) expect(await outcomes(client, pods)).toEqual(expected);
});

test('a pod on the host network is hooked in nowhere', async () => {
  await at.runSandbox({ namespace: 'closed', name: 'host', hostNetwork: true });
  expect(await at.remains()).toEqual(before);
});
