import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { clusterOf, type Manifest as Json } from '../helpers/manifests.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { Manifest } from '../lab/manifests.ts';
import { disagreements, matrix } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { backendUnderTest, productOf } from './backend.ts';
import { takeAllAway } from './breaking.ts';
import { podManifest, policy } from './cluster.ts';
import { PLACES, type Place } from './places.ts';
import { settledSnapshot } from './settled.ts';

// Pods that were there before the product came to their node, or of which nobody has a record any more: none is started again.

const DB_FROM_WEB = policy('shop/db', {
  podSelector: { matchLabels: { app: 'db' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
});
const QUIET_MAY_ANSWER = policy('shop/quiet', {
  podSelector: { matchLabels: { app: 'quiet' } },
  policyTypes: ['Egress'],
});

// As kube-proxy does on every node. Where nobody asks, conntrack takes up a flow that it meets half-way by whoever speaks first.
const ASKS_FOR_CONNTRACK = `table inet somebody {
  chain forward { type filter hook forward priority 0; ct state invalid counter; }
}
`;

describe.for(PLACES)('on a node whose pods run already, $mode, $backend', ({ mode, backend }) => {
  test('policies hold as soon as the agent is there, for live connections too', async () => {
    using lab = await newLab({ mode, backend });
    const node = lab.node(1);
    const [web, db, quiet] = await addPods(node, { plain: true });
    apply(lab, [DB_FROM_WEB, QUIET_MAY_ANSWER]);
    await output(node.run, ['nft', '-f', '-'], { input: ASKS_FOR_CONNTRACK });
    const target = { address: db.addresses[0] ?? '', port: 80, protocol: 'TCP' } as const;
    const stream = await quiet.probe.openStream(target, { kind: 'echo' });
    await node.startAgent(['--backend', backend]);

    expect((await stream.waitForEnd())?.how).toBe('reset');
    expect(await wrongCells(lab, [web, db, quiet])).toEqual([]);
    expect(await statusOf(node)).toMatchObject({ pods: { attached: 3, adopted: 3, isolated: 2, quarantined: [] } });
    // Each pod's sources are locked to its interface, though one of them has never said a word.
    expect(await lockedPods(node, { mode, backend })).toEqual(['db', 'quiet', 'web']);
  });
});

describe('beside pods that the plugin adds', () => {
  test('one that was there is protected like them, and whoever gets its address is judged by himself', async () => {
    // On a bridge the heir has a link address of its own, and each sender's first datagram goes to the old one.
    using lab = await newLab({ mode: 'ptp', backend: backendUnderTest });
    const node = lab.node(1);
    const [web, db] = await addPods(node, { plain: true });
    apply(lab, [DB_FROM_WEB]);
    await node.startAgent(['--backend', backendUnderTest]);
    const late = await node.addPod({ namespace: 'shop', name: 'late', labels: { app: 'db' } });
    expect(await wrongCells(lab, [web, db, late])).toEqual([]);

    // The plain runtime takes the pod away; its object stays, as that of a terminating pod does.
    const ghost = podManifest(db, { nodeName: node.name, labels: { app: 'db' } });
    const [address = '', ipv6 = ''] = db.addresses;
    await db.delete();
    lab.manifests.apply(ghost);
    await lab.sync();
    const heir = await node.addPod({ namespace: 'shop', name: 'heir', addresses: [address, ipv6] });
    expect(await wrongCells(lab, [web, heir, late])).toEqual([]);
    lab.manifests.delete(ghost);
    await lab.sync();
    expect(await wrongCells(lab, [web, heir, late])).toEqual([]);
  });

  test('nothing is left of it when its object is gone', async () => {
    using lab = await newLab({ mode: 'bridge', backend: backendUnderTest });
    const node = lab.node(1);
    await node.startAgent(['--backend', backendUnderTest]);
    const before = await settledSnapshot(node);
    const pods = await addPods(node, { plain: true });
    apply(lab, [DB_FROM_WEB]);
    await lab.sync();
    expect(await settledSnapshot(node)).not.toEqual(before);
    for (const pod of pods) await pod.delete();
    lab.manifests.delete(DB_FROM_WEB);
    await lab.sync();
    expect(await settledSnapshot(node)).toEqual(before);
  });
});

test('a node whose records and rules are lost is protected again, and DEL of its pods succeeds', async () => {
  using lab = await newLab({ mode: 'bridge', backend: backendUnderTest });
  const node = lab.node(1);
  const agent = await node.startAgent(['--backend', backendUnderTest]);
  const before = await settledSnapshot(node);
  const pods = await addPods(node, { plain: false });
  apply(lab, [DB_FROM_WEB, QUIET_MAY_ANSWER]);
  await agent.stop();
  await forgetEverything(node);
  await node.startAgent(['--backend', backendUnderTest]);
  expect(await statusOf(node)).toMatchObject({ pods: { attached: 3, adopted: 3 } });
  expect(await wrongCells(lab, pods)).toEqual([]);

  for (const pod of pods) await pod.delete();
  for (const object of [DB_FROM_WEB, QUIET_MAY_ANSWER]) lab.manifests.delete(object);
  await lab.sync();
  expect(await settledSnapshot(node)).toEqual(before);
});

test('a pod that is on a bridge whose packets pass no rule is a failure that status tells', async () => {
  using lab = await newLab({ mode: 'bridge', backend: backendUnderTest });
  const node = lab.node(1);
  await addPods(node, { plain: true });
  await node.startAgent(['--backend', backendUnderTest]);
  await output(node.run, ['sh', '-c', 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables']);
  const { failure } = await statusOf(node);
  expect(failure).toBe('Cannot protect pods on a bridge: set net.bridge.bridge-nf-call-iptables=1');
  expect((await node.product(['status'])).exitCode).toBe(1);
});

async function newLab({ mode, backend }: Place): Promise<Lab> {
  return startLab({ mode, product: productOf(backend) });
}

async function addPods(node: LabNode, { plain }: { readonly plain: boolean }): Promise<[LabPod, LabPod, LabPod]> {
  const add = (name: string) => node.addPod({ namespace: 'shop', name, labels: { app: name }, plain });
  return [await add('web'), await add('db'), await add('quiet')];
}

function apply({ manifests }: Lab, objects: readonly Manifest[]): void {
  for (const object of objects) manifests.apply(object);
}

/** Returns the flows, of every pair, that real packets and `evaluate` do not agree on. */
async function wrongCells(lab: Lab, pods: readonly LabPod[]): Promise<readonly unknown[]> {
  const cells = await matrix({ from: pods, to: pods }, { ports: [80] });
  expect(cells.length).toBeGreaterThan(0);
  return disagreements(cells, clusterOf(objectsIn(lab)));
}

function objectsIn({ manifests: { directory } }: Lab): readonly Json[] {
  return readdirSync(directory).map((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as Json);
}

async function statusOf(node: LabNode): Promise<AgentStatus> {
  return JSON.parse((await node.product(['status', '--output', 'json'])).stdout) as AgentStatus;
}

/** Returns the names of the pods whose IPv4 sources are locked to an interface. */
async function lockedPods({ run, pods }: LabNode, { mode, backend }: Place): Promise<readonly string[]> {
  if (backend === 'nftables') {
    const set = await output(run, [
      'nft',
      'list',
      'set',
      mode === 'bridge' ? 'bridge' : 'inet',
      'kube-nwplcy',
      'sources4',
    ]);
    const locked = [...set.matchAll(/"\S+" \. ([\d.]+)/g)].map(([, address]) => address);
    return locked.map((address) => [...pods].find(({ addresses }) => addresses[0] === address)?.name ?? '').toSorted();
  }
  const hooks = (await output(run, [backend, '-S'])).replaceAll(/^(?!-A NWPLCY-(?:EGRESS|BE-)).*\n/gm, '');
  const match = mode === 'bridge' ? /--physdev-in (\S+) .*shop\/(\S+?)"? / : /-i (\S+) .*shop\/(\S+?)"? /;
  return hooks
    .split('\n')
    .flatMap((line) => match.exec(line)?.[2] ?? [])
    .toSorted();
}

/** Takes away all that the node knows and has of us. */
async function forgetEverything(node: LabNode): Promise<void> {
  await takeAllAway(node, backendUnderTest);
  rmSync(node.inside(node.runtimeDir), { recursive: true });
}
