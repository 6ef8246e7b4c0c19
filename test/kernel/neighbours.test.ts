import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeClusterRules } from '../lab/flannel.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs, type Target } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { foreignRules } from './breaking.ts';
import { policy, ProductCluster } from './cluster.ts';
import { intruder, jumpCounts } from './intruder.ts';
import { NEIGHBOURS, textFor, type Effect, type Neighbour } from './neighbours.ts';
import { NFT_NEIGHBOURS } from './nftNeighbours.ts';
import { writeTools } from './tools.ts';

// Rules of others beside ours, as those programs write them, one after the other on the same node, which has flannel's and kube-proxy's already and
// drops what nobody accepts. Nothing of theirs changes, and ours are in force.

const OPEN = ['open', 'refused', 'open', 'refused'];
/** What nobody knows yet. */
const CLOSED = ['refused', 'refused', 'refused', 'refused'];
/** Ours allow these; each of the neighbours that do something about ports has its own. */
const THEIRS = [82, 83, 84, 85, 86, 87, 88, 89];

const CLIENTS = { namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } };
const POLICY = policy('shop/server', {
  podSelector: {},
  ingress: [{ from: [CLIENTS], ports: [80, ...THEIRS].map((port) => ({ port })) }],
});

describe('beside the rules of others', () => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let pods = 0;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode: 'flannel', listen: [80, 81, ...THEIRS] });
    node = cluster.lab.node(1);
    // What a Service without endpoints refuses must have somewhere to go.
    for (const family of ['-4', '-6']) await output(node.run, ['ip', family, 'route', 'add', 'default', 'dev', 'eth0']);
    server = await node.addPod({ namespace: 'shop', name: 'server' });
    client = await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
    await writeClusterRules(node, 'iptables-nft');
    cluster.lab.manifests.apply(POLICY);
    await cluster.lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for([...NEIGHBOURS, ...NFT_NEIGHBOURS])('$name', async (neighbour) => {
    const { effects = [], hides = false } = neighbour;
    expect(await outcomesOf(effects.filter(({ to }) => to === undefined))).toSatisfy(isAllOpen);
    await moveIn(neighbour);
    await settles(async () => outcomes(server), OPEN);
    const foreign = await foreignRules(node);
    const told = cluster.agent(1).log().length;

    await newPodIs(OPEN);
    // Others come and go in front of ours, and somebody deletes ours.
    await intruder.comes(node);
    await settles(async () => outcomes(server), OPEN);
    await intruder.goes(node);
    await intruder.cutsOff(node);
    await settles(async () => outcomes(server), OPEN);
    await settles(async () => intruder.isBeaten(node), true);
    expect(await outcomesOf(effects)).toEqual(effects.flatMap(({ outcome }) => [outcome, outcome]));

    await cluster.agent(1).stop();
    await newPodIs(CLOSED);
    await cluster.startAgent(1);
    await newPodIs(OPEN);
    expect(await outcomes(server)).toEqual(OPEN);

    expect(await foreignRules(node)).toEqual(foreign);
    expect(problemsIn(cluster.agent(1).log().slice(told))).toEqual([]);
    // Where ours cannot be taken away, there is one more for each time that it had to come first again.
    const jumps = await jumpCounts(node);
    expect(Math.max(...jumps)).toBeLessThanOrEqual(hides ? 4 : 1);
    if (!hides) return;
    await sleep(2500);
    expect(await jumpCounts(node)).toEqual(jumps);
  });

  // Without nft there is no nftables backend.
  test.skipIf(isNftables)('the same without nft: our jumps do not become more', async () => {
    await cluster.agent(1).stop();
    await cluster.startAgent(1, { tools: writeTools(cluster.lab.directory, { nft: 'exit 127' }) });
    const jumps = await jumpCounts(node);
    await newPodIs(OPEN);
    await sleep(2500);
    expect(await jumpCounts(node)).toEqual(jumps);
    expect(await outcomes(server)).toEqual(OPEN);
  });

  async function moveIn({ nft = '', iptables = '', legacy = '', ipset = '' }: Neighbour): Promise<void> {
    if (ipset !== '') await output(node.run, ['ipset', 'restore'], { input: ipset });
    if (nft !== '') await output(node.run, ['nft', '-f', '-'], { input: nft });
    for (const tool of ['iptables', 'ip6tables'] as const) {
      const options = ['--noflush', '--wait', '5'];
      if (iptables !== '')
        await output(node.run, [`${tool}-nft-restore`, ...options], { input: textFor(tool, iptables) });
      if (legacy !== '')
        await output(node.run, [`${tool}-legacy-restore`, ...options], { input: textFor(tool, legacy) });
    }
  }

  async function newPodIs(wanted: readonly string[]): Promise<void> {
    const pod = await node.addPod({ namespace: 'shop', name: `server-${++pods}` });
    expect(await outcomes(pod)).toEqual(wanted);
    await pod.delete();
  }

  async function outcomes(to: LabPod): Promise<readonly string[]> {
    return dialled(to.addresses.flatMap((address) => [80, 81].map((port) => ({ address, port }))));
  }

  /** Returns what becomes of the client that meets these, in both families. */
  async function outcomesOf(effects: readonly Effect[]): Promise<readonly string[]> {
    return dialled(effects.flatMap(({ to = server.addresses, port }) => to.map((address) => ({ address, port }))));
  }

  async function dialled(targets: readonly Omit<Target, 'protocol'>[]): Promise<readonly string[]> {
    const all = targets.map((target): Target => ({ ...target, protocol: 'TCP' }));
    return (await client.probe.dial(all)).map(({ outcome }) => outcome);
  }
});

function isAllOpen(outcomes: readonly string[]): boolean {
  return outcomes.every((outcome) => outcome === 'open');
}

function problemsIn(log: string): readonly string[] {
  const wanted = 'Put right what others had changed of our rules or sets';
  return log.split('\n').filter((line) => /"level":[456]0/.test(line) && !line.includes(wanted));
}

/** Waits until a look shows what is wanted. */
async function settles<Seen>(look: () => Promise<Seen>, wanted: Seen): Promise<void> {
  const deadline = monotonicMs() + 10_000;
  let seen = await look();
  for (; !isDeepStrictEqual(seen, wanted) && monotonicMs() < deadline; seen = await look()) await sleep(50);
  expect(seen).toEqual(wanted);
}
