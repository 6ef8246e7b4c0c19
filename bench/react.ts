import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../src/dataplane/backend.ts';
import type { Daemon } from '../test/lab/daemon.ts';
import type { LabPod } from '../test/lab/pod.ts';
import type { LabHost } from '../test/lab/host.ts';
import { BenchApi } from './api.ts';
import {
  madeUpPod,
  NAMESPACE,
  numbers,
  podManifest,
  policy,
  spreadPolicies,
  surroundings,
  type MadeUpPod,
} from './madeUp.ts';
import { BenchNode } from './node.ts';
import { directoryObjects, type Objects } from './objects.ts';
import type { BenchOptions } from './part.ts';
import { cpuSeconds } from './processCost.ts';
import { reaction, type Tried } from './reaction.ts';
import type { Report, Row } from './report.ts';

type SourceName = 'directory' | 'API server';

interface Load {
  readonly pods: number;
  readonly policies: number;
}

/** How long a change takes until packets are judged by it. */
export async function react({ full, say }: BenchOptions): Promise<Report> {
  const rows: Row[] = [];
  for (const backend of ['nftables', 'iptables-nft'] as const)
    for (const source of ['API server', 'directory'] as const)
      for (const load of loads(full)) {
        const group = `${backend}, ${source}`;
        const name = `${group}, ${load.pods} pods, ${load.policies} policies`;
        say(name);
        const samples = await measure({ backend, source, load, runs: full ? 15 : 5 });
        rows.push(...withFirst(rows, { group, name, samples }));
      }
  return { rows, notes: NOTES };
}

const NOTES = [
  'From the moment when the object was put in place to the end of the first connection that was judged by it. One is tried after the other; a try takes about a millisecond, and that is in the figures.',
  'The API server is one in memory, in a process of its own on this machine; its time to store and to tell is not in question here. The directory source waits 10 ms for a file to be whole.',
  'One pod is the one that is called; the others are a veth and an address. The policies are spread over 250 kinds of pods, those that come at once too: on a node of one pod they select nobody, on one of 250 each selects a pod.',
];

function loads(full: boolean): readonly Load[] {
  if (full) return [1, 50, 250].flatMap((pods) => [1, 200, 2000].map((policies) => ({ pods, policies })));
  return [
    { pods: 1, policies: 1 },
    { pods: 50, policies: 200 },
    { pods: 250, policies: 2000 },
  ];
}

/** Rows of one load, each against the same change under the first load. */
function withFirst(
  rows: readonly Row[],
  { group, name, samples }: { readonly group: string; readonly name: string; readonly samples: Samples },
): readonly Row[] {
  return [...samples].map(([what, taken]) => {
    const first = rows.find((row) => row.what === what && row.case.startsWith(group));
    return { what, case: name, unit: 'ms', samples: taken, ...(first !== undefined && { against: first }) };
  });
}

type Samples = ReadonlyMap<string, readonly number[]>;

interface Case {
  readonly backend: Backend;
  readonly source: SourceName;
  readonly load: Load;
  readonly runs: number;
}

async function measure({ backend, source, load, runs }: Case): Promise<Samples> {
  let api: BenchApi | undefined;
  using bench = await BenchNode.start({
    backend,
    ...(source !== 'directory' && { objects: async (site) => (api = await BenchApi.start(site)) }),
  });
  const objects = api ?? directoryObjects(bench.lab);
  await objects.load('surroundings', surroundings());
  await objects.load('policies', spreadPolicies(load.policies));
  const others = numbers(load.pods - 1).map((index) => madeUpPod('pod', index));
  await objects.load(
    'pods',
    others.map((pod) => podManifest(pod, { nodeName: bench.node.name, told: false })),
  );
  await bench.attach(others);
  const agent = await bench.startAgent();
  const server = await bench.node.addPod({ namespace: NAMESPACE, name: 'server', labels: { role: 'server' } });
  const client = await bench.node.addPod({ namespace: NAMESPACE, name: 'client', labels: { role: 'client' } });
  const host = await bench.lab.addHost('elsewhere', [ELSEWHERE.address]);
  const stage = { bench, objects, agent, server, client, host };
  const samples = new Map<string, number[]>();
  for (const run of numbers(runs + 1))
    for (const [what, milliseconds] of await oneRound(stage))
      // The first round only makes everybody known to each other.
      if (run > 0) samples.set(what, [...(samples.get(what) ?? []), milliseconds]);
  return samples;
}

/** Further policies that come at once. */
const BURST = 200;

/** A pod of another node, played by a host. */
const ELSEWHERE: MadeUpPod = { ...madeUpPod('peer', 200), labels: { role: 'elsewhere' }, address: '10.99.0.1' };

interface Stage {
  readonly bench: BenchNode;
  readonly objects: Objects;
  readonly agent: Daemon;
  readonly server: LabPod;
  readonly client: LabPod;
  readonly host: LabHost;
}

async function oneRound(stage: Stage): Promise<ReadonlyMap<string, number>> {
  const { bench, objects, agent, server, client, host } = stage;
  const address = server.addresses[0] ?? '';
  const byClient: Tried = { from: client.probe, address };
  const times = new Map<string, number>();
  const change = async (what: string, step: Parameters<typeof reaction>[1], tried = byClient) => {
    await bench.settle();
    times.set(what, await reaction(tried, step));
  };
  const apply =
    (...from: readonly string[]) =>
    () =>
      objects.put(admitting(from));

  await change('policy created', { change: apply('nobody'), wanted: 'refused' });
  await change('policy changed', { change: apply('client'), wanted: 'open' });
  const labelled = (role: string) => () => objects.put(labelledAnew(client, { role, nodeName: bench.node.name }));
  await change('pod label changed', { change: labelled('stranger'), wanted: 'refused' });
  await labelled('client')();
  await apply('elsewhere')();
  const arrival = () => objects.put(podManifest(ELSEWHERE, { nodeName: 'node-2' }));
  await change('pod added elsewhere', { change: arrival, wanted: 'open' }, { from: host.probe, address });
  await objects.delete(podManifest(ELSEWHERE, { nodeName: 'node-2' }));
  await change('policy deleted', { change: () => objects.delete(admitting([])), wanted: 'open' });
  const burst = spreadPolicies(BURST, 'burst');
  const many = async () => {
    await objects.load('burst', burst);
    return objects.put(admitting(['nobody']));
  };
  await bench.settle();
  const before = cpuSeconds(agent.pid);
  const milliseconds = await reaction(byClient, { change: many, wanted: 'refused' });
  times.set(`the last of ${BURST + 1} policies at once`, milliseconds);
  await sleep(1000);
  times.set(`processor time in the second of these ${BURST + 1}`, (cpuSeconds(agent.pid) - before) * 1000);
  await objects.unload('burst', burst);
  await objects.delete(admitting([]));
  return times;
}

function admitting(roles: readonly string[]) {
  const from = roles.map((role) => ({ podSelector: { matchLabels: { role } } }));
  return policy('measured', { podSelector: { matchLabels: { role: 'server' } }, ingress: [{ from }] });
}

function labelledAnew(pod: LabPod, { role, nodeName }: { readonly role: string; readonly nodeName: string }) {
  const { namespace, name, uid } = pod;
  return podManifest({ namespace, name, uid, labels: { role }, address: pod.addresses[0] ?? '' }, { nodeName });
}
