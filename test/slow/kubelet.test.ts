import { deepStrictEqual } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readAttachments, type RecordedAttachment } from '../../src/rendezvous/attachment.ts';
import { policy } from '../kernel/cluster.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import type { PodManifest } from '../lab/manifests.ts';
import type { LabPod } from '../lab/pod.ts';
import { until } from '../runtime/containerd.ts';
import { IMAGE } from '../runtime/image.ts';
import { containerOutput, Kubelet } from '../runtime/kubelet.ts';
import { sandboxPid, untilListening } from '../runtime/processes.ts';
import { RuntimeNode } from '../runtime/runtimeNode.ts';
import { BOTH_CLOSED, BOTH_OPEN, bothWays, connecting, type Talker } from '../runtime/traffic.ts';

/** What the kubelet calls the static pod `web`. */
const MIRROR = 'web-node-1';

// Static pods: the runtime knows them by the hash of their file, the API server by the uid of a mirror that the kubelet makes there, with the hash
// in an annotation.

let at: RuntimeNode;
let client: LabPod;
let kubelet: Kubelet;
let before: unknown;

beforeAll(async () => {
  at = await RuntimeNode.start();
  at.lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
  client = await at.lab.node(2).addPod({ namespace: 'clients', name: 'client' });
  await at.lab.sync();
  kubelet = await Kubelet.start(at);
  await kubelet.untilReady();
});
afterAll(() => at[Symbol.dispose]());
beforeEach(async () => {
  before = await at.remains();
});
afterEach(async () => {
  kubelet.removePod('web');
  await at.untilDetached(({ name }) => name === MIRROR);
  for (const namespace of ['closed', 'open']) at.lab.manifests.delete(mirror(namespace, ''));
  deepStrictEqual(await at.remains(), before);
});

test('a static pod is refused everything until the source shows its mirror', async () => {
  kubelet.addPod('web', staticPod('open'));
  const pod = await running();
  expect(await bothWays(client, pod)).toEqual(BOTH_CLOSED);
  at.lab.manifests.apply(mirror('open', pod.hash));
  await at.node.sync();
  expect(await bothWays(client, pod)).toEqual(BOTH_OPEN);
});

test('a static pod whose mirror the source shows in time is judged from its first packet on', async () => {
  kubelet.addPod('web', staticPod('open'));
  const pod = await running();
  kubelet.removePod('web');
  await at.untilDetached(({ name }) => name === MIRROR);
  at.lab.manifests.apply(mirror('open', pod.hash));
  await at.node.sync();
  kubelet.addPod('web', staticPod('open'));
  const again = await running();
  expect(again.hash).toBe(pod.hash);
  expect(await bothWays(client, again, { since: 0 })).toEqual(BOTH_OPEN);
});

test("the kubelet's probes reach a pod that nobody else may reach", async () => {
  kubelet.addPod('web', staticPod('closed'));
  const pod = await running();
  at.lab.manifests.apply(mirror('closed', pod.hash));
  await at.node.sync();
  // Once a second, and one failure would be enough.
  await sleep(3000);
  expect(await bothWays(client, pod)).toEqual(BOTH_CLOSED);
  expect(await attempts(pod.containerId)).toEqual([0]);
});

test('a restart of the kubelet changes nothing', async () => {
  kubelet.addPod('web', staticPod('closed'));
  const pod = await running();
  at.lab.manifests.apply(mirror('closed', pod.hash));
  const remains = await at.remains();
  await kubelet.restart();
  await sleep(2000);
  expect(await at.remains()).toEqual(remains);
  expect(records().map(({ containerId }) => containerId)).toEqual([pod.containerId]);
});

test('a static pod whose own process was killed is judged at its next address, while the source shows the old one', async () => {
  kubelet.addPod('web', staticPod('closed'));
  const pod = await running();
  at.lab.manifests.apply({ ...mirror('closed', pod.hash), status: { podIPs: pod.addresses.map((ip) => ({ ip })) } });
  await at.node.sync();
  process.kill(await sandboxPid(at.containerd.cri, pod.containerId), 'SIGKILL');
  await until('make another', () => records().some(({ containerId }) => containerId !== pod.containerId), 30_000);
  const next = await running();
  expect(next.hash).toBe(pod.hash);
  expect(next.addresses).not.toEqual(pod.addresses);
  expect(await bothWays(client, next, { since: 0 })).toEqual(BOTH_CLOSED);
});

interface Running extends Talker {
  readonly containerId: string;
  /** What the runtime calls the pod's uid. */
  readonly hash: string;
}

/** Returns the static pod once it runs. */
async function running(): Promise<Running> {
  await until('be hooked in', () => records().some(({ judgements }) => judgements !== undefined), 30_000);
  const [record, ...others] = records();
  if (record === undefined || others.length > 0) throw new Error(`Cannot tell the pod: there are ${others.length + 1}`);
  const { containerId, uid: hash = '', addresses, namespace, name } = record;
  // A container that has ended is started again after ten seconds.
  await until('start', async () => (await attempts(containerId)).length > 0, 30_000);
  await untilListening(await sandboxPid(at.containerd.cri, containerId));
  const output = () => containerOutput(at.node, { namespace, name, uid: hash });
  return { containerId, hash, addresses, output };
}

function records(): readonly RecordedAttachment[] {
  return readAttachments(at.node.inside(at.node.runtimeDir)).filter(({ name }) => name === MIRROR);
}

/** Returns how often each container of a sandbox was started again. */
async function attempts(podSandboxId: string): Promise<readonly number[]> {
  const filter = { podSandboxId, state: { state: 'CONTAINER_RUNNING' } };
  const { containers = [] } = await at.containerd.cri.call<ContainerList>('RuntimeService.ListContainers', { filter });
  return containers.map(({ metadata }) => metadata.attempt ?? 0);
}

interface ContainerList {
  readonly containers?: readonly { readonly metadata: { readonly attempt?: number } }[];
}

function staticPod(namespace: string): JsonObject {
  const probe = { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 1 };
  const container = { name: 'main', image: IMAGE, imagePullPolicy: 'Never', command: connecting(client.addresses) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: 'web' },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ ...container, env: [{ name: 'NAME', value: 'web' }], livenessProbe: probe }],
    },
  };
}

/** Returns what the kubelet would make of the static pod in the API. */
function mirror(namespace: string, hash: string): PodManifest {
  const annotations = { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: MIRROR, uid: 'of-the-mirror', annotations },
    spec: { nodeName: at.node.name, containers: [{ name: 'main', image: IMAGE }] },
  };
}
