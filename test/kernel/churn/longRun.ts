import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { askAgent } from '../../../src/cli/agentClient.ts';
import type { Backend } from '../../../src/dataplane/backend.ts';
import { startLab, type Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { productOf } from '../backend.ts';
import { settledSnapshot } from '../settled.ts';
import { ChurnServer } from './api.ts';
import { OWN_NODE } from './cluster.ts';
import { ALIVE, OwnPods } from './ownPods.ts';

export interface LongRun {
  readonly backend: Backend;
  /** How many events of the API there are, at least. */
  readonly events: number;
}

const SEED = 1;
/** So many times on the way the events pause, and all is compared. */
const ROUNDS = 4;
const EVENTS_AN_OWN_POD = 200;
/** What the agent may hold more after the last round than after the first, when it knew as many objects. */
const MEMORY_GROWTH = 1.1;
/** The agent goes on for a minute with watches that it does not need any more. */
const SETTLING = { timeout: 120_000, interval: 500 };

/**
 * Has an agent follow a cluster in which everything comes and goes, and pods of its node too. Whenever all has settled, the kernel and the runtime
 * directory hold what an agent makes of the same objects that never knew others, and memory is what it was. When everything is gone, nothing is left.
 */
export async function assertNothingIsLeft({ backend, events }: LongRun): Promise<void> {
  let started: ChurnServer | undefined;
  using lab = await startLab({
    nodes: 1 + ROUNDS,
    product: productOf(backend),
    objects: async (site) => (started = await ChurnServer.start(site, SEED)).podObjects(),
  });
  const remote = remoteOf(started);
  const node = lab.node(1);
  const agent = await node.startAgent(['--backend', backend]);
  const pods = new OwnPods(node, { remote, backend, seed: SEED });
  await pods.link();
  const held = async () => remote.call('held', { pid: agent.pid });
  const resources = async () => ({ ...(await held()).resources, ...openedBy(agent.pid) });
  const before = { kernel: await settledSnapshot(node), files: filesOf(node), resources: await resources() };

  const bytes: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const share = events / ROUNDS;
    await Promise.all([remote.call('churn', { events: share }), pods.churn(share / EVENTS_AN_OWN_POD)]);
    await remote.call('settle', null);
    const fresh = await madeAnew(lab, { round, backend, objects: await remote.call('objects', null) });
    await expect.poll(async () => settledSnapshot(node), SETTLING).toEqual(fresh.kernel);
    await expect.poll(() => filesOf(node), SETTLING).toEqual(fresh.files);
    // Where nobody is isolated there is nothing to compare.
    expect(await podsOf(node)).toMatchObject({
      attached: ALIVE,
      adopted: 0,
      isolated: expect.toSatisfy((count) => count > 0),
      quarantined: [],
    });
    bytes.push((await held()).bytes);
  }
  const [first = Number.NaN] = bytes;
  expect(bytes.at(-1), `bytes held after each round: ${bytes.join()}`).toBeLessThan(first * MEMORY_GROWTH);

  await pods.clear();
  await remote.call('clear', null);
  await expect.poll(async () => settledSnapshot(node), SETTLING).toEqual(before.kernel);
  await expect.poll(() => filesOf(node), SETTLING).toEqual(before.files);
  await expect.poll(async () => toldOf(await remote.call('objects', null)), SETTLING).toEqual([{}]);
  await expect.poll(async () => moreThan(before.resources, await resources()), SETTLING).toEqual({});
}

function remoteOf(server: ChurnServer | undefined): ChurnServer['remote'] {
  if (server === undefined) throw new Error('Cannot change the cluster: there is no API server');
  return server.remote;
}

/** Starts an agent where there never was one, for the same attachments, and returns what it makes of the objects. It finds them in files. */
async function madeAnew(
  lab: Lab,
  {
    round,
    backend,
    objects,
  }: { readonly round: number; readonly backend: Backend; readonly objects: readonly { readonly kind?: unknown }[] },
) {
  const items = objects.filter(({ kind }) => kind !== 'ConfigMap');
  lab.manifests.write('all.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const [like, node] = [lab.node(1), lab.node(1 + round)];
  const runtimeDir = node.inside(node.runtimeDir);
  mkdirSync(runtimeDir, { mode: 0o700 });
  for (const directory of ['attachments', 'hooked'])
    cpSync(`${like.inside(like.runtimeDir)}/${directory}`, `${runtimeDir}/${directory}`, { recursive: true });
  const { flags } = lab.manifests.agentAccess();
  const agent = await node.startAgent(['--backend', backend, '--node-name', OWN_NODE, ...flags]);
  // Only who reads manifests keeps any.
  const files = filesOf(node).filter((path) => !/^manifests(?:\/|$)/.test(path));
  const made = { kernel: await settledSnapshot(node), files };
  await agent.stop();
  return made;
}

/** Returns the paths of all that is in a node's runtime directory, what is aside included. */
function filesOf(node: LabNode): readonly string[] {
  const paths = readdirSync(node.inside(node.runtimeDir), { recursive: true, encoding: 'utf8' });
  return paths.map((path) => path.replace(/^generation\/\d+$/, 'generation/N')).toSorted();
}

async function podsOf(node: LabNode) {
  const reply = await askAgent(
    { ask: 'status' },
    { runtimeDir: node.inside(node.runtimeDir), timeoutMs: SETTLING.timeout },
  );
  return reply.kind === 'status' ? reply.status.pods : reply;
}

/** Returns what nodes tell each other of their pods. */
function toldOf(objects: readonly { readonly kind?: unknown; readonly data?: unknown }[]): readonly unknown[] {
  return objects.filter(({ kind }) => kind === 'ConfigMap').map(({ data }) => data);
}

/** Returns those of the counts that are larger than before. */
function moreThan(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>) {
  return Object.fromEntries(Object.entries(now).filter(([kind, count]) => count > (before[kind] ?? 0)));
}

function openedBy(pid: number): Readonly<Record<string, number>> {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return {
    children: children.filter((child) => child !== '').length,
    files: readdirSync(`/proc/${pid}/fd`).length,
  };
}
