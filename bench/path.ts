import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Backend } from '../src/dataplane/backend.ts';
import type { Manifest } from '../test/lab/manifests.ts';
import type { LabPod } from '../test/lab/pod.ts';
import { output } from '../test/lab/run.ts';
import { podCidr } from '../test/lab/addressing.ts';
import { startLab, type Lab } from '../test/lab/lab.ts';
import { JumpSwitch } from './jumpSwitch.ts';
import { madeUpPod, NAMESPACE, numbers, podManifest, policy, spreadPolicies, surroundings } from './madeUp.ts';
import { BenchNode } from './node.ts';
import { directoryObjects } from './objects.ts';
import type { BenchOptions } from './part.ts';
import type { Report, Row } from './report.ts';

type Mode = 'bridge' | 'ptp';

interface Case {
  readonly name: string;
  readonly mode: Mode;
  readonly pods: number;
  readonly policies: number;
  /** The policies that select the called pod, and peers that they name. */
  readonly own: readonly Manifest[];
  readonly throughput?: boolean;
}

/** What packets pay: new connections a second and throughput from pod to pod on one node. */
export async function path({ full, say }: BenchOptions): Promise<Report> {
  const rows: Row[] = [];
  const connect = await compiled();
  const hasIperf = await isThere('iperf3');
  for (const mode of ['bridge', 'ptp'] as const) {
    using bare = await startLab({ families: ['ipv4'], mode, listen: [] });
    const plain = await pair(bare);
    for (const one of cases(full).filter((any) => any.mode === mode))
      for (const backend of ['nftables', 'iptables-nft'] as const) {
        const name = `${backend}, ${one.name}`;
        say(name);
        rows.push(...(await measureCase({ ...one, name }, { backend, connect, hasIperf, plain, runs: full ? 9 : 4 })));
      }
  }
  const missing = [
    ...(connect === undefined ? ['Not measured: connections a second, for want of a C compiler ("cc").'] : []),
    ...(hasIperf ? [] : ['Not measured: throughput, for want of "iperf3".']),
  ];
  return { rows, notes: [...NOTES, ...missing] };
}

const NOTES = [
  'Client and server are pods of one node. A single thread connects and resets, another accepts and resets (bench/connect.c): half of the figure is the two programs and TCP, which none of the variants changes.',
  'The processor time is what the client was charged for: its packets go all the way to the other pod in its own time. Where others use the machine it tells more than the rate.',
  '"one jump" is the same node with the same pods and conntrack, where one jump leads to an empty chain and nothing else of ours is hooked in. "nothing" is a node without rules and without conntrack, which a node with kube-proxy never is.',
  'Client and server are attached before the other pods: newer hooks stand before older ones, so that a packet finds theirs last.',
  'The three alternate, a good half second each. The agent is stopped meanwhile (SIGSTOP): what it costs is in part "agent".',
];

function cases(full: boolean): readonly Case[] {
  const loads = [
    { pods: 1, policies: 1 },
    { pods: 50, policies: 200 },
    { pods: 250, policies: 200 },
    { pods: 250, policies: 2000 },
    { pods: 1000, policies: 2000 },
  ].filter(({ policies }) => full || policies < 2000);
  const bridged = loads.map((load, index) => spread('bridge', { ...load, throughput: full || index === 0 }));
  const routed = loads.filter((_, index) => full || index === 0).map((load) => spread('ptp', load));
  return [
    ...bridged,
    {
      ...spread('bridge', { pods: 1, policies: 1 }),
      name: 'bridge, 1 pod, a policy of 50 peers',
      own: [manyPeers(50)],
    },
    { ...hardCase('bridge', 'label'), throughput: true },
    hardCase('bridge', 'network'),
    hardCase('bridge', 'label', 'ports'),
    ...routed,
    hardCase('ptp', 'network'),
  ];
}

function spread(mode: Mode, load: Pick<Case, 'pods' | 'policies' | 'throughput'>): Case {
  const name = `${mode}, ${load.pods} pods, ${load.policies} policies`;
  return { name, mode, ...load, own: [manyPeers(1)] };
}

/** One policy that selects the server, with so many items in its list; the client is the last. */
function manyPeers(count: number): Manifest {
  const others = numbers(count - 1).map((index) => ({ podSelector: { matchLabels: { peer: `g${index}` } } }));
  const from = [...others, { podSelector: { matchLabels: { role: 'client' } } }];
  return policy('server', { podSelector: SERVER, ingress: [{ from }] });
}

const SERVER = { matchLabels: { role: 'server' } };
const HARD_POLICIES = 200;

/**
 * 200 policies that all select the server, each with peers by network and by label of its own, on every port or on one of its own; one of them lets
 * the client in. Where its rule stands among the others is the product's choice.
 */
function hardCase(mode: Mode, by: 'label' | 'network', on: 'all' | 'ports' = 'all'): Case {
  const policies = numbers(HARD_POLICIES).map((index) => {
    const isClients = index === HARD_POLICIES - 1;
    const labels = isClients && by === 'label' ? { role: 'client' } : { peer: `h${index}` };
    const cidr = isClients && by === 'network' ? podCidr(1, 'ipv4') : `10.0.${index}.0/24`;
    const from = [{ ipBlock: { cidr } }, { podSelector: { matchLabels: labels } }];
    const ports = on === 'all' ? {} : { ports: [{ port: isClients ? PORT : 2000 + 13 * index }] };
    return policy(`hard-${index}`, { podSelector: SERVER, ingress: [{ from, ...ports }] });
  });
  const peers = numbers(HARD_POLICIES).map((index) => {
    const pod = { ...madeUpPod('peer', 100 + index), labels: { peer: `h${index}` } };
    return podManifest(pod, { nodeName: 'node-2' });
  });
  const ports = on === 'all' ? '' : ' on ports of their own';
  const name = `${mode}, ${HARD_POLICIES} policies on the pod${ports}, one lets the client in by ${by}`;
  return { name, mode, pods: 1, policies: 0, own: [...policies, ...peers] };
}

interface Pair {
  readonly client: LabPod;
  readonly server: LabPod;
}

async function pair({ nodes: [node] }: Lab): Promise<Pair> {
  if (node === undefined) throw new Error('Cannot measure: the lab has no node');
  const [server, client] = [
    await node.addPod({ namespace: NAMESPACE, name: 'server', labels: { role: 'server' }, listens: false }),
    await node.addPod({ namespace: NAMESPACE, name: 'client', labels: { role: 'client' }, listens: false }),
  ];
  return { client, server };
}

interface Tools {
  readonly backend: Backend;
  readonly connect: string | undefined;
  readonly hasIperf: boolean;
  /** Pods of a node without rules. */
  readonly plain: Pair;
  readonly runs: number;
}

const VARIANTS = ['kube-nwplcy', 'one jump', 'nothing'] as const;
type Variant = (typeof VARIANTS)[number];

async function measureCase(one: Case, { backend, connect, hasIperf, plain, runs }: Tools): Promise<readonly Row[]> {
  using bench = await BenchNode.start({ mode: one.mode, backend });
  const own = await place(bench, one);
  const variants = { 'kube-nwplcy': own, 'one jump': own, nothing: plain };
  const jump = await JumpSwitch.on(bench.node, backend);
  const take = async <T>(sample: (pods: Pair) => Promise<T>) => {
    const samples: Record<Variant, T[]> = { 'kube-nwplcy': [], 'one jump': [], nothing: [] };
    for (const run of numbers(runs + 1))
      for (const variant of VARIANTS) {
        await jump.set(variant === 'one jump' ? 'empty' : 'ours');
        // A connection from the port of one that conntrack has not forgotten need not be a new one to it.
        await output(bench.node.run, ['conntrack', '--flush']);
        const taken = await sample(variants[variant]);
        if (run > 0) samples[variant].push(taken);
      }
    return samples;
  };
  const rows: Row[] = [];
  if (connect !== undefined) {
    const samples = await take((pods) => callFor({ ...pods, connect }));
    const of = (pick: (sample: Connections) => number) => mapped(samples, (taken) => taken.map(pick));
    const cost = { what: 'processor time a connection', case: one.name, unit: 'µs' } as const;
    rows.push(
      ...rowsOf(
        of(({ microseconds }) => microseconds),
        cost,
      ),
    );
    rows.push(
      ...rowsOf(
        of(({ perSecond }) => perSecond),
        { what: 'new connections', case: one.name, unit: '/s' },
      ),
    );
  }
  if (hasIperf && one.throughput === true)
    rows.push(...rowsOf(await take(throughput), { what: 'throughput', case: one.name, unit: 'Gbit/s' }));
  return rows;
}

function mapped<T, U>(samples: Readonly<Record<Variant, T>>, map: (taken: T) => U): Record<Variant, U> {
  return {
    'kube-nwplcy': map(samples['kube-nwplcy']),
    'one jump': map(samples['one jump']),
    nothing: map(samples.nothing),
  };
}

function rowsOf(samples: Readonly<Record<Variant, readonly number[]>>, common: Omit<Row, 'samples'>): readonly Row[] {
  const rowOf = (variant: Variant): Row => ({
    ...common,
    what: `${common.what}, ${variant}`,
    samples: samples[variant],
  });
  const oneJump = rowOf('one jump');
  return [{ ...rowOf('kube-nwplcy'), against: oneJump }, oneJump, { ...rowOf('nothing'), against: oneJump }];
}

/** Fills the node, adds client and server and returns them once the kernel holds everything; the agent does nothing from then on. */
async function place(bench: BenchNode, { pods, policies, own }: Case): Promise<Pair> {
  const objects = directoryObjects(bench.lab);
  const others = numbers(pods - 1).map((index) => madeUpPod('pod', index));
  await objects.load('surroundings', surroundings());
  await objects.load('policies', [...spreadPolicies(policies), ...own]);
  await objects.load(
    'pods',
    others.map((pod) => podManifest(pod, { nodeName: bench.node.name, told: false })),
  );
  const added = await pair(bench.lab);
  await bench.attach(others);
  const agent = await bench.startAgent();
  await bench.settle();
  agent.pause();
  return added;
}

const PORT = 9999;

const SECONDS = 0.7;

interface Connections {
  readonly perSecond: number;
  /** Processor time of one, of the client and of the kernel for it. */
  readonly microseconds: number;
}

async function callFor({ client, server, connect }: Pair & { readonly connect: string }): Promise<Connections> {
  const ended = output(server.run, [connect, 'serve', `${PORT}`]);
  const said = await output(client.run, [connect, 'call', server.addresses[0] ?? '', `${PORT}`, `${SECONDS}`]);
  await ended;
  const [perSecond = 0, failed, microseconds = 0] = said.trim().split(' ').map(Number);
  if (failed !== 0) throw new Error(`Cannot measure: ${failed} connections failed`);
  return { perSecond, microseconds };
}

async function throughput({ client, server }: Pair): Promise<number> {
  const ended = server.run(['iperf3', '--server', '--one-off']);
  await sleep(200);
  const said = await output(client.run, ['iperf3', '--client', server.addresses[0] ?? '', '--time', '1', '--json']);
  await ended;
  const result = JSON.parse(said) as { readonly end: { readonly sum_received: { readonly bits_per_second: number } } };
  return result.end.sum_received.bits_per_second / 1e9;
}

/** Returns the path of the program that connects, `undefined` where there is no compiler. */
async function compiled(): Promise<string | undefined> {
  if (!(await isThere('cc'))) return undefined;
  const program = join(import.meta.dirname, 'results/connect');
  await execa('cc', ['-O2', '-Wall', '-o', program, join(import.meta.dirname, 'connect.c')]);
  return program;
}

async function isThere(command: string): Promise<boolean> {
  const { failed } = await execa(command, ['--version'], { reject: false });
  return !failed;
}
