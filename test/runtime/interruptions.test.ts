import { deepStrictEqual } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Target } from '../lab/probe.ts';
import { until } from './containerd.ts';
import { LISTEN } from './image.ts';
import { FAKE, RuntimeNode } from './runtimeNode.ts';
import { connecting, outcomes, tries } from './traffic.ts';

// A real container runtime whose work with a pod fails, or stops in the middle.

let at: RuntimeNode;
let client: LabPod;
let before: unknown;

beforeAll(async () => {
  at = await RuntimeNode.start();
  at.lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
  client = await at.lab.node(2).addPod({ namespace: 'clients', name: 'client' });
  await at.lab.sync();
});
afterAll(() => at[Symbol.dispose]());
beforeEach(async () => {
  before = await at.remains();
});
afterEach(async () => {
  await at.setNeighbours({});
  await at.clear();
  deepStrictEqual(await at.remains(), before);
});

test.for([
  { where: 'earlier', neighbours: { before: [{ type: FAKE, failOn: ['ADD'] }] } },
  { where: 'later', neighbours: { after: [{ type: FAKE, failOn: ['ADD'] }] } },
])(
  'an ADD that a plugin $where in the chain fails leaves nothing, and the next one protects',
  async ({ neighbours }) => {
    const pod = at.sandbox({ namespace: 'closed', name: 'unlucky' });
    await pod.announce();
    const idle = await at.remains();
    await at.setNeighbours(neighbours);
    await expect(pod.run()).rejects.toThrow('plugin type="fake" failed (add): fake was told to fail');
    expect(await at.remains()).toEqual(idle);
    await at.setNeighbours({});
    await pod.run();
    await pod.startContainer(LISTEN);
    expect(await outcomes(client, [pod])).toEqual(['refused', 'refused']);
  },
);

test('an ADD whose runtime was killed ends as an orphan, and a DEL after it leaves nothing', async () => {
  const pod = at.sandbox({ namespace: 'closed', name: 'orphan' });
  await at.setNeighbours({ after: [{ type: FAKE, delayMs: 2000 }] });
  const run = pod.run();
  run.catch(() => {}); // told below
  await until('have hooked the pod in', () => at.pluginsThatRun('ADD').includes(FAKE));
  await at.containerd.kill();
  await expect(run).rejects.toThrow('Unavailable');
  expect(at.pluginsThatRun('ADD')).toEqual([FAKE]);
  await at.containerd.start();
  await until('have ended', () => at.pluginsThatRun('ADD').length === 0);
  expect(podFiles('attachments').length).toBe(1);
  await pod.delete();
  expect(await at.remains()).toEqual(before);
});

test.for([-20, 0, 20, 40])(
  'an ADD whose runtime was killed, and which gets on %i ms after DEL has come, leaves nothing',
  async (delayMs) => {
    // Nobody knows the pod yet, and so its ADD waits.
    const pod = at.sandbox({ namespace: 'closed', name: 'overtaken', manifest: false });
    const run = pod.run();
    run.catch(() => {}); // told below
    await until('have begun', () => podFiles('attachments').length === 1);
    await at.containerd.kill();
    await expect(run).rejects.toThrow('Unavailable');
    await at.containerd.start();
    expect(at.pluginsThatRun('ADD')).toEqual(['kube-nwplcy']);
    const isShown = sleep(30 + delayMs).then(() => at.lab.manifests.createPod(pod.manifest()));
    await sleep(30);
    await pod.delete();
    await isShown;
    await until('have ended', () => at.pluginsThatRun('ADD').length === 0);
    await at.lab.manifests.deletePod(pod.manifest());
    expect(await at.remains()).toEqual(before);
  },
);

test('containers that outlive their runtime stay protected, and so does what the next runtime makes', async () => {
  const old = await at.runSandbox({ namespace: 'closed', name: 'old' });
  await old.startContainer(connecting(client.addresses));
  const targets = (await old.addresses()).map((address): Target => ({ address, port: 80, protocol: 'TCP' }));
  const remains = await at.remains();
  await at.containerd.kill();
  expect((await client.probe.dial(targets)).map(({ outcome }) => outcome)).toEqual(['refused', 'refused']);
  await at.containerd.start();
  // It knows its containers and hooks nothing in anew.
  expect(await at.remains()).toEqual(remains);
  const next = await at.runSandbox({ namespace: 'closed', name: 'next' });
  await next.startContainer(LISTEN);
  expect(await outcomes(client, [old, next])).toEqual(Array(4).fill('refused'));
  expect(await tries(old, { since: 0 })).toEqual(new Set(client.addresses.map((address) => `${address} closed`)));
});

test("a pod whose own process was killed is protected at the new sandbox's address, and the old one's rules are gone", async () => {
  const pod = await at.runSandbox({ namespace: 'closed', name: 'dying' });
  await pod.publish();
  const [first, addresses] = [pod.id, await pod.addresses()];
  process.kill(await pod.pid(), 'SIGKILL');
  await until('notice', async () => !(await pod.isReady()));
  await pod.stop();
  await pod.run();
  await pod.startContainer(connecting(client.addresses));
  expect(await pod.addresses()).not.toEqual(addresses);
  expect(podFiles('attachments')).toEqual([`${pod.id}:eth0`]);
  expect(first).not.toBe(pod.id);
  expect(JSON.stringify(await at.remains())).not.toContain(addresses[0]);
  expect(await outcomes(client, [pod])).toEqual(['refused', 'refused']);
  expect(await tries(pod, { since: 0 })).toEqual(new Set(client.addresses.map((address) => `${address} closed`)));
});

test('a pod made while the agent is away is refused everything, until the agent is back', async () => {
  await at.agent.stop();
  const [closed, open] = [
    await at.runSandbox({ namespace: 'closed', name: 'early' }),
    await at.runSandbox({ namespace: 'open', name: 'early' }),
  ];
  const pods = [closed, open];
  for (const pod of pods) await pod.startContainer(connecting(client.addresses));
  expect(await outcomes(client, pods)).toEqual(Array(4).fill('refused'));
  expect(await tries(open, { since: 0 })).toEqual(new Set(client.addresses.map((address) => `${address} closed`)));
  await at.startAgent();
  expect(await outcomes(client, pods)).toEqual(['refused', 'refused', 'open', 'open']);
  expect(await tries(open)).toEqual(new Set(client.addresses.map((address) => `${address} open`)));
  expect(await tries(closed)).toEqual(new Set(client.addresses.map((address) => `${address} closed`)));
});

/** Returns the attachments of which the product has a file of this kind. */
function podFiles(kind: 'attachments' | 'hooked'): readonly string[] {
  return readdirSync(at.node.inside(join(at.node.runtimeDir, kind))).filter((name) => !name.startsWith('.'));
}
