import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeClusterRules } from '../lab/flannel.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { policy, ProductCluster } from './cluster.ts';
import { NEIGHBOURS, textFor, type Neighbour } from './neighbours.ts';
import { writeTools } from './tools.ts';

// Rules of others beside ours, as those programs write them, one after the other on the same node, which has flannel's and kube-proxy's already and
// drops what nobody accepts. Nothing of theirs changes, and ours are in force.

const FAMILIES = ['ip', 'ip6'] as const;
const OPEN = ['open', 'refused', 'open', 'refused'];
/** What nobody knows yet. */
const CLOSED = ['refused', 'refused', 'refused', 'refused'];

const POLICY = policy('shop/server', {
  podSelector: {},
  ingress: [
    { from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }], ports: [{ port: 80 }] },
  ],
});

describe('beside the rules of others', () => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let pods = 0;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode: 'flannel', listen: [80, 81] });
    node = cluster.lab.node(1);
    server = await node.addPod({ namespace: 'shop', name: 'server' });
    client = await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
    await writeClusterRules(node, 'iptables-nft');
    cluster.lab.manifests.apply(POLICY);
    await cluster.lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for(NEIGHBOURS)('$name', async (neighbour) => {
    await moveIn(neighbour);
    await settles(async () => outcomes(server), OPEN);
    const foreign = await foreignRules(node);
    const told = cluster.agent(1).log().length;

    await newPodIs(OPEN);
    // Others come and go in front of ours, and somebody deletes ours.
    await output(node.run, ['nft', '-f', '-'], { input: FAMILIES.map(acceptAll).join('') });
    await settles(async () => outcomes(server), OPEN);
    await deleteRules(node, 'accept comment "intruder"');
    await deleteRules(node, 'jump KUBE-NWPLCY-CHAIN');
    await settles(async () => outcomes(server), OPEN);
    await settles(async () => firstInForward(node), [true, true]);

    await cluster.agent(1).stop();
    await newPodIs(CLOSED);
    await cluster.startAgent(1);
    await newPodIs(OPEN);
    expect(await outcomes(server)).toEqual(OPEN);

    expect(await foreignRules(node)).toEqual(foreign);
    expect(problemsIn(cluster.agent(1).log().slice(told))).toEqual([]);
    // Where ours cannot be taken away, there is one more for each time that it had to come first again.
    const jumps = await jumpCounts(node);
    expect(Math.max(...jumps)).toBeLessThanOrEqual(neighbour.hides === true ? 4 : 1);
    if (neighbour.hides !== true) return;
    await sleep(2500);
    expect(await jumpCounts(node)).toEqual(jumps);
  });

  test('the same without nft: our jumps do not become more', async () => {
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
    const targets = to.addresses.flatMap((address) =>
      [80, 81].map((port) => ({ address, port, protocol: 'TCP' as const })),
    );
    return (await client.probe.dial(targets)).map(({ outcome }) => outcome);
  }
});

function acceptAll(family: string): string {
  return `insert rule ${family} filter FORWARD meta l4proto tcp accept comment "intruder"\n`;
}

/** Deletes the rules of FORWARD that end like this, by what nft calls them. */
async function deleteRules({ run }: LabNode, end: string): Promise<void> {
  for (const family of FAMILIES) {
    const text = await output(run, ['nft', '--handle', 'list', 'chain', family, 'filter', 'FORWARD']);
    const handles = text.split('\n').flatMap((line) => {
      const [rule = '', handle] = line.split(' # handle ');
      return rule.endsWith(end) && handle !== undefined ? [handle] : [];
    });
    for (const handle of handles) await run(['nft', 'delete', 'rule', family, 'filter', 'FORWARD', 'handle', handle]);
  }
}

/** Returns the rules of FORWARD in each family, as nft prints them. */
async function forwardRules({ run }: LabNode): Promise<readonly (readonly string[])[]> {
  const texts = FAMILIES.map(async (family) =>
    output(run, ['nft', '--stateless', 'list', 'chain', family, 'filter', 'FORWARD']),
  );
  return (await Promise.all(texts)).map((text) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('\t\t'))
      .slice(1),
  );
}

async function firstInForward(node: LabNode): Promise<readonly boolean[]> {
  return (await forwardRules(node)).map(([first = '']) => isOurJump(first));
}

async function jumpCounts(node: LabNode): Promise<readonly number[]> {
  return (await forwardRules(node)).map((rules) => rules.filter(isOurJump).length);
}

function isOurJump(rule: string): boolean {
  return rule.trim() === 'counter jump KUBE-NWPLCY-CHAIN';
}

/** Returns all rules and sets of the node but ours. */
async function foreignRules({ run }: LabNode): Promise<string> {
  const commands = [
    ['nft', '--stateless', 'list', 'ruleset'],
    ['iptables-legacy-save'],
    ['ip6tables-legacy-save'],
    ['ipset', 'save', '-sorted'],
  ];
  const texts = await Promise.all(commands.map(async (argv) => output(run, argv)));
  const foreign = texts[0]?.replaceAll(/\n?\tchain \S*NWPLCY\S* \{\n(?:\t\t.*\n)*\t\}\n/g, '');
  const lines = [foreign ?? '', ...texts.slice(1)].join('\n').split('\n');
  return lines
    .filter((line) => !/^(?:create|add) NWPLCY|jump KUBE-NWPLCY-CHAIN$|^#/.test(line))
    .map((line) => line.replace(/\[\d+:\d+\]/, ''))
    .join('\n');
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
