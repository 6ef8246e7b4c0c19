import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import type { Backend } from '../../src/dataplane/backend.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs, type OpenStream, type Target } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { foreignRules, ownLines, programsOf } from './breaking.ts';
import { policy, ProductCluster } from './cluster.ts';
import { damagesAt, putCanaries } from './damages.ts';
import { PLACES } from './places.ts';

// What others do to our rules and sets, and what we do to theirs: nothing.

const OPEN_PORT = 80;
const CLOSED_PORTS = [81, 82];
const PORTS = [OPEN_PORT, ...CLOSED_PORTS];
const FAMILIES = ['ip', 'ip6'] as const;
/** What becomes of a client at these ports, in either family. */
const JUDGED = ['open', 'refused', 'refused', 'open', 'refused', 'refused'];

const SERVER = policy('shop/server', {
  podSelector: {},
  policyTypes: ['Ingress'],
  ingress: [
    {
      from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }],
      ports: [OPEN_PORT].flatMap((port) => ['TCP', 'UDP'].map((protocol) => ({ protocol, port }))),
    },
    {
      // All but the clients: with a member of its set less they would be allowed.
      from: [
        { ipBlock: { cidr: '10.0.0.0/8', except: ['10.244.0.0/16'] } },
        { ipBlock: { cidr: 'fd00::/16', except: ['fd00:244::/32'] } },
      ],
      ports: [{ protocol: 'TCP', port: 82 }],
    },
  ],
});

describe.for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let intact: Standing;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, listen: PORTS });
    node = cluster.lab.node(1);
    cluster.lab.manifests.apply(SERVER);
    client = await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
    server = await node.addPod({ namespace: 'shop', name: 'server' });
    await cluster.lab.sync();
    await putCanaries(node, { mode, backend });
    // Our jump comes first again.
    await settles(() => firstRule(node, backend), backend === 'nftables' ? undefined : OUR_JUMP);
    intact = await standing(node, backend);
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for(damagesAt({ mode, backend }))('is put right: $name', async ({ script, opens }) => {
    const slipped = await survives(script({ server, own: intact.own.flat() }));
    expect(slipped > 0).toBe(opens);
  });

  // With nftables each of them is tried while the agent looks on (nftDrift.test.ts).
  test.runIf(backend === 'iptables-nft')(
    'is put right: any chain of ours is flushed, or deleted with what leads to it',
    async () => {
      const tools = programsOf('iptables-nft');
      const rules = await output(node.run, ['iptables-nft', '-S']);
      const chains = [...rules.matchAll(/^-N (\S*NWPLCY-\S+)$/gm)].map(([, chain]) => chain ?? '');
      // The standing chains, two of each pod and the server's profile.
      expect(chains.length).toBe(10 + 2 * 2 + 1);
      // Each in one family and in the other, now in this order and now in that.
      for (const [index, chain] of chains.entries()) {
        const [flushed, deleted] = index % 2 === 0 ? tools : tools.toReversed();
        await survives(`${flushed} -F ${chain}; ${deletion(chain, deleted)}`);
      }
    },
  );

  /**
   * Does damage while the agent looks away, and sees everything as it was once it looks again: ours, others', verdicts. Returns how many
   * forbidden flows slipped in meanwhile; they must be cut.
   */
  async function survives(script: string): Promise<number> {
    const { pid } = cluster.agent(1);
    kill(pid, 'SIGSTOP');
    await output(node.run, ['sh', '-ec', script]);
    expect(await standing(node, backend), script).not.toEqual(intact);
    const [slipped, foreign] = await Promise.all([openForbidden(client, server), foreignRules(node)]);
    kill(pid, 'SIGCONT');
    await settles(() => standing(node, backend), intact);
    expect(await foreignRules(node), script).toEqual(foreign);
    expect(await outcomes(client, server), script).toEqual(JUDGED);
    expect(await ends(slipped), script).toEqual(slipped.map(() => 'reset'));
    return slipped.length;
  }
});

/** A rule that iptables-nft cannot print hides the whole chain that it is in. */
const UNPRINTABLE = FAMILIES.map(
  (family) => `add rule ${family} filter FORWARD ct mark set meta mark and 0xff or 0x100\n`,
).join('');

// The nftables backend has no rules in others' chains, and never reads them.
test.skipIf(isNftables)(
  'a foreign rule that iptables-nft cannot print stays, and so do our rules beside it',
  async () => {
    using cluster = await ProductCluster.start({ listen: PORTS });
    const node = cluster.lab.node(1);
    cluster.lab.manifests.apply(SERVER);
    const client = await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
    await cluster.lab.sync();
    await output(node.run, ['nft', '-f', '-'], { input: UNPRINTABLE });
    const forward = async () =>
      Promise.all(
        FAMILIES.map(async (family) => output(node.run, ['nft', '-s', 'list', 'chain', family, 'filter', 'FORWARD'])),
      );
    const before = await forward();
    expect((await node.run(['iptables-nft', '-S', 'FORWARD'])).exitCode).not.toBe(0);
    const server = await node.addPod({ namespace: 'shop', name: 'server' });
    await cluster.lab.sync();
    expect(await outcomes(client, server)).toEqual(JUDGED);
    // Each of them a look or several later.
    const told = cluster.agent(1).log();
    await sleep(2500);
    expect(cluster.agent(1).log()).toBe(told);

    for (const script of ['$t -F NWPLCY-INGRESS', '$t -D FORWARD -j KUBE-NWPLCY-CHAIN']) {
      await output(node.run, ['sh', '-ec', `for t in iptables-nft ip6tables-nft; do ${script}; done`]);
      await settles(() => outcomes(client, server), JUDGED);
      await settles(forward, before);
    }
    await cluster.agent(1).stop();
    await cluster.startAgent(1);
    expect(await outcomes(client, server)).toEqual(JUDGED);
    expect(await forward()).toEqual(before);
    const complaints = cluster
      .agent(1)
      .log()
      .split('\n')
      .filter((line) => line.includes('incompatible'));
    expect(complaints.length).toBeLessThanOrEqual(1);
  },
);

test('while nothing happens nothing is written', async () => {
  using cluster = await ProductCluster.start({ listen: PORTS });
  const node = cluster.lab.node(1);
  cluster.lab.manifests.apply(SERVER);
  await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
  await node.addPod({ namespace: 'shop', name: 'server' });
  await cluster.lab.sync();
  await sleep(1500);
  const before = await status(node);
  // The monitor ends with a line that shows that it was listening.
  const script = 'nft monitor & sleep 5; nft add table ip canary; sleep 0.2; kill $!';
  const seen = await output(node.run, ['sh', '-c', script]);
  expect(seen.split('\n').map((line) => line.replace(/ \d+ by process \d+/, ''))).toEqual([
    'add table ip canary',
    '# new generation (nft)',
    '',
  ]);
  expect(await status(node)).toEqual(before);
});

/** Returns the script that deletes a chain and everything that leads to it. */
function deletion(chain: string, tool = ''): string {
  const references = `${tool} -S | sed -n 's/^-A \\(.* -[jg] ${chain}\\)$/-D \\1/p'`;
  return `{ echo '*filter'; ${references}; echo '-F ${chain}'; echo '-X ${chain}'; echo COMMIT; } | ${tool}-restore --noflush`;
}

/** Opens what is forbidden, as far as it can be opened. */
async function openForbidden(from: LabPod, to: LabPod): Promise<readonly OpenStream[]> {
  const targets = targetsOf(to).filter(({ port }) => port !== OPEN_PORT);
  const opened = targets.map(async (target) =>
    from.probe.openStream(target, { kind: 'download', intervalMs: 10 }).then(
      (stream) => [stream],
      () => [],
    ),
  );
  return (await Promise.all(opened)).flat();
}

async function ends(streams: readonly OpenStream[]): Promise<readonly (string | undefined)[]> {
  return Promise.all(streams.map(async (stream) => (await stream.waitForEnd({ stallMs: 2000, timeoutMs: 4000 }))?.how));
}

async function outcomes(from: LabPod, to: LabPod): Promise<readonly string[]> {
  return (await from.probe.dial(targetsOf(to))).map(({ outcome }) => outcome);
}

function targetsOf({ addresses }: LabPod): readonly Target[] {
  return addresses.flatMap((address) => PORTS.map((port) => ({ address, port, protocol: 'TCP' }) as const));
}

/** Waits until a look shows what is wanted. */
async function settles<Seen>(look: () => Promise<Seen>, wanted: Seen): Promise<void> {
  const deadline = monotonicMs() + 20_000;
  let seen = await look();
  for (; !isDeepStrictEqual(seen, wanted) && monotonicMs() < deadline; seen = await look()) await sleep(50);
  expect(seen).toEqual(wanted);
}

const OUR_JUMP = '-A FORWARD -j KUBE-NWPLCY-CHAIN';

interface Standing {
  readonly own: readonly (readonly string[])[];
  /** The first rule of FORWARD, where that is what leads to ours. */
  readonly first: string | undefined;
}

async function standing(node: LabNode, backend: Backend): Promise<Standing> {
  const [own, first] = await Promise.all([ownLines(node, backend), firstRule(node, backend)]);
  return { own, first };
}

async function firstRule({ run }: LabNode, backend: Backend): Promise<string | undefined> {
  if (backend === 'nftables') return undefined;
  return (await output(run, [backend, '-S', 'FORWARD'])).split('\n')[1];
}

async function status(node: LabNode): Promise<AgentStatus> {
  return JSON.parse((await node.product(['status', '--output', 'json'])).stdout) as AgentStatus;
}
