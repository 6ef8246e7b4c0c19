import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../test/lab/daemon.ts';
import { monotonicMs } from '../test/lab/probe.ts';
import { output } from '../test/lab/run.ts';
import { BenchApi } from './api.ts';
import type { ChurnRequest } from './apiProgram.ts';
import { localPodsOf, numbers, podManifest, policy, type ClusterSize, type MadeUpPod } from './madeUp.ts';
import { BenchNode } from './node.ts';
import type { BenchOptions } from './part.ts';
import { cpuSeconds, residentMegabytes } from './processCost.ts';
import { reaction, type Tried } from './reaction.ts';
import type { Report, Row } from './report.ts';

/** What an agent costs in a large cluster, and how it keeps up with changes elsewhere. */
export async function agent({ full, say }: BenchOptions): Promise<Report> {
  const rows: Row[] = [];
  for (const size of sizes(full)) {
    const name = `${size.pods} pods, ${size.namespaces} namespaces, ${size.policies} policies`;
    say(name);
    rows.push(...(await measureSize(size, { name, runs: full ? 5 : 3, seconds: full ? 20 : 5 })));
  }
  return { rows, notes: NOTES };
}

const NOTES = [
  'One agent, 30 pods of its node in 10 namespaces, and an API server in memory, in a process of its own on the same machine: its time to send the list is in the first sync.',
  'A Pod object has about 5.6 kB, as a kubelet and the API server leave it.',
  'First sync: from the start of the process, or from its first request, to its first heartbeat, when the kernel holds everything. Seen every 2 ms.',
  'Half of the churn gives a pod of another node another address and another tier, the other half removes one and puts it back. Processor time is that of the agent and of the programs that it runs; a write is a pass that changed the kernel.',
  'RSS has the pages of the executable in it, which all processes of that file share; "anonymous" is what is its own.',
  'An event that concerns nobody: a pod that no policy of a local pod names gets another address, 500 times a second; the processor time without events is taken off. An agent is not even told of most of them. A source that follows all pods is.',
  'Reaction: a pod of another node appears with its address, and a connection from it to a local pod is let in, while the churn goes on.',
];

function sizes(full: boolean): readonly ClusterSize[] {
  const some = [
    { pods: 1000, namespaces: 100, policies: 1000 },
    { pods: 10_000, namespaces: 1000, policies: 1000 },
  ];
  if (!full) return some;
  return [
    ...some,
    ...[1000, 10_000].map((policies) => ({ pods: 100_000, namespaces: 5000, policies })),
    { pods: 150_000, namespaces: 5000, policies: 10_000 },
  ];
}

interface Given {
  readonly name: string;
  readonly runs: number;
  readonly seconds: number;
}

async function measureSize(size: ClusterSize, { name, runs, seconds }: Given): Promise<readonly Row[]> {
  const samples = new Map<string, Sampled>();
  const note = (what: string, unit: Row['unit'], sample: number) =>
    samples.set(what, { unit, taken: [...(samples.get(what)?.taken ?? []), sample] });
  for (const _ of numbers(runs)) await oneAgent({ size, seconds }, note);
  return [...samples].map(([what, { unit, taken }]) => ({ what, case: name, unit, samples: taken }));
}

interface Sampled {
  readonly unit: Row['unit'];
  readonly taken: readonly number[];
}

type Note = (what: string, unit: Row['unit'], sample: number) => void;

const METRICS = '127.0.0.1:9473';

/** One agent from its start on: its first sync, and what it costs in a quiet and in a busy cluster. */
async function oneAgent(
  { size, seconds }: { readonly size: ClusterSize; readonly seconds: number },
  note: Note,
): Promise<void> {
  let started: BenchApi | undefined;
  using bench = await BenchNode.start({ objects: async (site) => (started = await BenchApi.start(site)) });
  const api = started;
  if (api === undefined) throw new Error('Cannot measure: there is no API server');
  await api.remote.call('fill', size);
  const local = localPodsOf(size);
  await api.load('local', [
    ...local.map((pod) => podManifest(pod, { nodeName: bench.node.name, told: false })),
    ...OWN,
  ]);
  await bench.attach(local);
  const running = await firstSync({ bench, api }, note);
  const server = await bench.node.addPod({ namespace: 'ns-0', name: 'server', labels: { role: 'server' } });
  const host = await bench.lab.addHost('elsewhere', [ELSEWHERE.address]);
  await bench.settle();
  note('heap after the first sync', 'MB', await heapMegabytes(api));
  note('RSS after the first sync', 'MB', residentMegabytes(running.pid));
  note('RSS after the first sync, anonymous', 'MB', residentMegabytes(running.pid, 'RssAnon'));
  note('members of all sets', 'members', await setMembers(bench));
  const tried = { from: host.probe, address: server.addresses[0] ?? '' };
  for (const perSecond of [0, 50, 500]) await churn({ api, running, tried, size, seconds, perSecond }, note);
  const unnamed = { api, size, perSecond: 500, seconds, which: 'unnamed' } as const;
  note('event that concerns nobody', 'µs', await costPerEvent(running.pid, unnamed));
  note('peak of the RSS', 'MB', residentMegabytes(running.pid, 'VmHWM'));
  await running.stop();
  await sourceAlone(unnamed, note);
}

/** A source that follows all pods, and nothing behind it. */
async function sourceAlone(events: Events, note: Note): Promise<void> {
  const { source, milliseconds } = await events.api.followAll();
  const [pid, known] = [await source.call('pid', null), await source.call('known', null)];
  note('source alone: first list', 'ms', milliseconds);
  note('source alone: processor time until then', 's', cpuSeconds(pid));
  note('source alone: heap', 'MB', known.heapMegabytes);
  note('source alone: RSS', 'MB', residentMegabytes(pid));
  note('source alone: RSS, anonymous', 'MB', residentMegabytes(pid, 'RssAnon'));
  note('source alone: event that concerns nobody', 'µs', await costPerEvent(pid, events));
  source.end();
}

/** Returns the processor time that an event costs a process, in microseconds. The pods in question are made unnamed first. */
async function costPerEvent(pid: number, events: Events): Promise<number> {
  await eventsFor(events);
  const idleFrom = cpuSeconds(pid);
  await sleep(events.seconds * 1000);
  const from = cpuSeconds(pid);
  const told = await eventsFor(events);
  return ((cpuSeconds(pid) - from - (from - idleFrom)) * 1e6) / told;
}

async function setMembers({ node }: BenchNode): Promise<number> {
  const saved = await output(node.run, ['ipset', 'save']);
  return saved.split('\n').filter((line) => line.startsWith('add ')).length;
}

async function firstSync(
  { bench, api }: { readonly bench: BenchNode; readonly api: BenchApi },
  note: Note,
): Promise<Daemon> {
  const heartbeat = bench.node.inside(`${bench.node.runtimeDir}/agent`);
  const startedAt = monotonicMs();
  const running = bench.launchAgent(['--metrics-addr', METRICS]);
  while (!existsSync(heartbeat)) {
    if (!running.isRunning || monotonicMs() > startedAt + 300_000)
      throw new Error(
        `Cannot measure: the agent does not get in sync; its log ends with:\n${running.log().slice(-2000)}`,
      );
    await sleep(2);
  }
  const syncedAt = monotonicMs();
  const askedAt = await api.remote.call('firstRequestAt', null);
  note('first sync, from the start', 'ms', syncedAt - startedAt);
  note('first sync, from the first request', 'ms', syncedAt - (askedAt ?? startedAt));
  note('processor time until the first sync', 's', cpuSeconds(running.pid));
  return running;
}

interface Churn {
  readonly api: BenchApi;
  readonly running: Daemon;
  readonly tried: Tried;
  readonly size: ClusterSize;
  readonly seconds: number;
  readonly perSecond: number;
}

async function churn({ api, running, tried, size, seconds, perSecond }: Churn, note: Note): Promise<void> {
  const label = perSecond === 0 ? 'no events' : `${perSecond} events a second`;
  const before = { cpu: cpuSeconds(running.pid), writes: writesOf(running), at: monotonicMs() };
  const told = await eventsFor({ api, size, perSecond, seconds, which: 'any' });
  const passed = (monotonicMs() - before.at) / 1000;
  // A machine with too much to do does not keep up.
  if (perSecond > 0) note(`events told, ${label}`, '/s', told / passed);
  note(`processor time, ${label}`, '% of a core', ((cpuSeconds(running.pid) - before.cpu) / passed) * 100);
  note(`kernel writes, ${label}`, '/s', (writesOf(running) - before.writes) / passed);
  const noise = eventsFor({ api, size, perSecond, seconds: 4, which: 'any' });
  for (const _ of numbers(4)) {
    await sleep(300);
    const arrival = () => api.put(podManifest(ELSEWHERE, { nodeName: 'node-2' }));
    note(`reaction, ${label}`, 'ms', await reaction(tried, { change: arrival, wanted: 'open' }));
    const leaving = () => api.delete(podManifest(ELSEWHERE, { nodeName: 'node-2' }));
    await reaction(tried, { change: leaving, wanted: 'refused' });
  }
  await noise;
}

interface Events extends Omit<Churn, 'running' | 'tried'> {
  readonly which: ChurnRequest['which'];
}

/** Returns how many events there were. */
async function eventsFor({ api, size, perSecond, seconds, which }: Events): Promise<number> {
  if (perSecond > 0) return api.remote.call('churn', { ...size, perSecond, seconds, which });
  await sleep(seconds * 1000);
  return 0;
}

/** The agent says so in its log each time it has changed the kernel. */
function writesOf(running: Daemon): number {
  return running.log().split('Brought the kernel up to date').length - 1;
}

async function heapMegabytes(api: BenchApi): Promise<number> {
  const metrics = await api.remote.call('fetch', `http://${METRICS}/metrics`);
  return Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(metrics)?.[1]) / 2 ** 20;
}

/** A pod of another node, played by a host. */
const ELSEWHERE: MadeUpPod = {
  namespace: 'ns-0',
  name: 'elsewhere',
  uid: 'uid-elsewhere',
  labels: { role: 'elsewhere' },
  address: '10.99.0.1',
};

const OWN = [
  policy(
    'server',
    {
      podSelector: { matchLabels: { role: 'server' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'elsewhere' } } }] }],
    },
    'ns-0',
  ),
];
