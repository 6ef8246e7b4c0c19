import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Daemon } from '../lab/daemon.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { ownLines, takeAllAway } from './breaking.ts';
import { policy, ProductCluster } from './cluster.ts';
import { nft } from './nftDamages.ts';
import { sweepOf } from './nftSweep.ts';
import { PLACES } from './places.ts';
import { becomes, repairsToldBy } from './watching.ts';

// What others do to our tables of nft while the agent looks on. With iptables it looks by itself (drift.test.ts).

const FAMILIES = ['ipv4', 'ipv6'] as const;
const NODES = 6;

const SERVER = policy('shop/server', {
  podSelector: {},
  policyTypes: ['Ingress', 'Egress'],
  ingress: [
    {
      from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }],
      ports: [{ protocol: 'TCP', port: 80 }],
    },
    {
      from: [{ ipBlock: { cidr: '192.0.2.0/24', except: ['192.0.2.8/29'] } }, { ipBlock: { cidr: '2001:db8::/32' } }],
      ports: [{ protocol: 'SCTP', port: 1000, endPort: 2000 }],
    },
  ],
  egress: [{ to: [{ podSelector: {} }], ports: [{ port: 'web' }] }],
});
/** What becomes of the client at the server's ports 80 and 81, in each family. */
const JUDGED = FAMILIES.flatMap(() => ['open', 'refused']);

describe.skipIf(!isNftables).for(PLACES)('$mode', ({ mode }) => {
  test('whatever is done to any one rule, element, chain or set is put right, once', { timeout: 300_000 }, async () => {
    // On several nodes side by side: an agent takes no more than a look a second.
    using cluster = await ProductCluster.start({ mode, nodes: NODES, listen: [80, 81] });
    cluster.lab.manifests.apply(SERVER);
    const scenes = await Promise.all(cluster.lab.nodes.map(addPods));
    await cluster.lab.sync();
    const names = await Promise.all(
      scenes.map(async ({ node }) => (await sweepOf(node)).map(({ name }) => name).toSorted()),
    );
    const [all = []] = names;
    // Every node has as much to be broken, and takes its part.
    expect(names).toEqual(names.map(() => all));
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(250);
    const wrongs = await Promise.all(
      scenes.map(async (scene, index) =>
        wrongsAfter(scene, {
          agent: cluster.agent(index + 1),
          names: all.filter((_, number) => number % NODES === index),
        }),
      ),
    );
    expect(wrongs.flat()).toEqual([]);
  });

  test('a pod whose ADD is under way while others delete our tables is judged, and its ADD succeeds', async () => {
    using cluster = await ProductCluster.start({ mode, listen: [80, 81] });
    cluster.lab.manifests.apply(SERVER);
    const node = cluster.lab.node(1);
    const { client } = await addPods(node);
    await cluster.lab.sync();
    const addMs = await timeOfAdd(node);
    for (let round = 0; round < ROUNDS; round += 1) {
      const pod = await node.createPod({ namespace: 'shop', name: `pod-${round}` });
      // At moments all over the ADD, one table or both; in the last rounds again and again.
      const deleted = DELETIONS[round % DELETIONS.length] ?? [];
      const times = round < ROUNDS - 3 ? 1 : 40;
      const deletion = sleep((addMs * round) / (ROUNDS - 3)).then(async () => deleteAgain(node, { deleted, times }));
      await pod.attach();
      await deletion;
      expect(await becomes(async () => isDeepStrictEqual(await outcomes(client, pod), JUDGED)), `${round}`).toBe(true);
    }
    await cluster.lab.sync();
    const left = await ownLines(node, 'nftables');
    await cluster.agent(1).stop();
    await takeAllAway(node, 'nftables');
    await cluster.startAgent(1);
    expect(await ownLines(node, 'nftables')).toEqual(left);
  });
});

const ROUNDS = 15;
const DELETIONS = [['inet'], ['bridge'], ['inet', 'bridge']] as const;

/** Returns how long an ADD takes here. */
async function timeOfAdd(node: LabNode): Promise<number> {
  const pod = await node.createPod({ namespace: 'shop', name: 'first' });
  const startedAt = monotonicMs();
  await pod.attach();
  return monotonicMs() - startedAt;
}

async function deleteAgain(
  { run }: LabNode,
  { deleted, times }: { readonly deleted: readonly string[]; readonly times: number },
): Promise<void> {
  const each = deleted.map((family) => `nft delete table ${family} kube-nwplcy 2>/dev/null || true`);
  await output(run, ['sh', '-ec', `for i in $(seq ${times}); do ${each.join('; ')}; sleep 0.01; done`]);
}

interface PodsOfNode {
  readonly node: LabNode;
  readonly client: LabPod;
  readonly server: LabPod;
}

async function addPods(node: LabNode): Promise<PodsOfNode> {
  const { number } = node;
  const client = await node.addPod({ namespace: 'clients', name: `client-${number}`, labels: { role: 'client' } });
  const ports = [{ name: 'web', containerPort: 8080 }];
  return { node, client, server: await node.addPod({ namespace: 'shop', name: `server-${number}`, ports }) };
}

/**
 * Does each of these, one after the other, and returns a line for each that is not put right by one repair, and for wrong verdicts after all.
 */
async function wrongsAfter(
  { node, client, server }: PodsOfNode,
  { agent, names }: { readonly agent: Daemon; readonly names: readonly string[] },
): Promise<readonly string[]> {
  const intact = await ownLines(node, 'nftables');
  const wrongs: string[] = [];
  for (const name of names) {
    const before = repairsToldBy(agent);
    const breach = (await sweepOf(node)).find((each) => each.name === name);
    await output(node.run, ['sh', '-ec', nft(breach?.commands ?? [name])]);
    const isRight = await becomes(async () => isDeepStrictEqual(await ownLines(node, 'nftables'), intact));
    // The agent tells of a repair after it can be seen.
    await becomes(() => Promise.resolve(repairsToldBy(agent) > before));
    const repairs = repairsToldBy(agent) - before;
    if (!isRight || repairs !== 1) wrongs.push(`${name}: ${isRight ? `${repairs} repairs` : 'still broken'}`);
  }
  const judged = await outcomes(client, server);
  return isDeepStrictEqual(judged, JUDGED) ? wrongs : [...wrongs, judged.join()];
}

async function outcomes(from: LabPod, to: LabPod): Promise<readonly string[]> {
  const targets = to.addresses.flatMap((address) =>
    [80, 81].map((port) => ({ address, port, protocol: 'TCP' }) as const),
  );
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}
