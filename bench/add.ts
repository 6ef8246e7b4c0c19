import { join } from 'node:path';
import { execPath } from 'node:process';
import { execa } from 'execa';
import { BACKENDS, type Backend } from '../src/dataplane/backend.ts';
import { madeUpPod, numbers, podManifest, spreadPolicies, surroundings, type MadeUpPod } from './madeUp.ts';
import { BenchNode, type Command, type PluginCall } from './node.ts';
import { directoryObjects, type Objects } from './objects.ts';
import type { BenchOptions } from './part.ts';
import type { Report, Row } from './report.ts';

/** A node with so many pods, under one number of policies after the other. */
interface Load {
  readonly pods: number;
  readonly policies: readonly number[];
}

const COMMANDS: readonly Command[] = ['ADD', 'CHECK', 'DEL'];
const AT_ONCE = 20;

/** What a node's plugins cost: the product's, beside Debian's and beside a packed program that does nothing. */
export async function add({ full, say }: BenchOptions): Promise<Report> {
  const rows: Row[] = [];
  for (const backend of BACKENDS) {
    using bench = await BenchNode.start({ backend });
    const empty = join(bench.lab.directory, 'empty');
    await execa(execPath, [join(import.meta.dirname, 'empty.ts'), empty]);
    const objects = directoryObjects(bench.lab);
    await objects.load('surroundings', surroundings());
    rows.push(...(await measureNode({ bench, objects, empty, backend, full, say })));
  }
  return { rows, notes: NOTES };
}

const NOTES = [
  'A run is one call of every program, one after the other, in an order that turns with the runs; each run has a pod of its own, and each call begins when the agent has nothing to do.',
  'Times are from before the start of the process to after its end; starting one from this benchmark costs each of them about a millisecond.',
  '"empty" is a program packed as the product is that prints `{}` and does nothing else. portmap maps one port, and the node has no other mappings; firewall uses its iptables backend.',
  'Not measured: CHECK of portmap, which fails for a pod without an IPv6 address (it looks for IPv6 chains that its own ADD does not make).',
  'Pods are IPv4 only. Of the pods on the node each is a veth and an address, attached by the product alone.',
  'Without an agent the pod is refused everything (`whenAgentDown: deny`); policies play no part then.',
];

function loads(full: boolean): readonly Load[] {
  if (full) return [0, 110, 250].map((pods) => ({ pods, policies: [0, 100, 1000] }));
  return [
    { pods: 0, policies: [0] },
    { pods: 250, policies: [1000] },
  ];
}

interface Place {
  readonly bench: BenchNode;
  readonly objects: Objects;
  /** The path of the empty program. */
  readonly empty: string;
  readonly backend: Backend;
  readonly full: boolean;
  readonly say: BenchOptions['say'];
}

interface Case extends Place {
  readonly name: string;
  readonly agent: boolean;
}

async function measureNode(place: Place): Promise<readonly Row[]> {
  const { bench, objects, backend, full } = place;
  const rows: Row[] = [];
  let attached = 0;
  for (const { pods, policies } of loads(full)) {
    const all = numbers(pods).map((index) => madeUpPod('pod', index));
    await objects.load('pods', expected(all, bench));
    await bench.attach(all.slice(attached));
    attached = pods;
    const name = `${backend.replace(/^iptables-/, '')}, ${pods} pods`;
    rows.push(...(await measureCase({ ...place, name: `${name}, no agent`, agent: false })));
    for (const count of policies) {
      await objects.load('policies', spreadPolicies(count));
      const agent = await bench.startAgent();
      rows.push(...(await measureCase({ ...place, name: `${name}, ${count} policies`, agent: true })));
      await agent.stop();
    }
  }
  return [...rows, ...growthRows(rows)];
}

function expected(pods: readonly MadeUpPod[], { node }: BenchNode) {
  return pods.map((pod) => podManifest(pod, { nodeName: node.name, told: false }));
}

async function measureCase(place: Case): Promise<readonly Row[]> {
  place.say(place.name);
  return [...(await oneAfterTheOther(place, place.full ? 21 : 9)), ...(await atOnce(place, place.full ? 7 : 3))];
}

async function oneAfterTheOther(place: Case, runs: number): Promise<readonly Row[]> {
  const { bench, name } = place;
  const pods = await expectPods(place, runs + 1);
  const samples = new Map<string, number[]>();
  const note = (what: string, milliseconds: number) => samples.set(what, [...(samples.get(what) ?? []), milliseconds]);
  for (const [run, pod] of pods.entries()) {
    // The first run fills caches and makes what a plugin makes once on a node.
    const keep = run === 0 ? () => undefined : note;
    keep('empty', await bench.run([place.empty]));
    for (const call of turned(plugins(pod), run).flatMap(eachCommand).toSorted(byCommand)) {
      keep(`${call.plugin} ${call.command}`, await bench.call(call));
      // What our own calls make the agent do is in nobody's figure.
      if (place.agent && call.plugin === 'kube-nwplcy') await bench.settle();
    }
  }
  await bench.unlink(pods);
  const rowOf = (what: string, against?: Row): Row => ({
    what,
    case: name,
    unit: 'ms',
    samples: samples.get(what) ?? [],
    ...(against !== undefined && { against }),
  });
  const empty = rowOf('empty');
  return [...COMMANDS.flatMap((command) => comparison(command, rowOf)), empty];
}

/** ADD and DEL are held against portmap, CHECK against firewall. */
function comparison(command: Command, rowOf: (what: string, against?: Row) => Row): readonly Row[] {
  const firewall = rowOf(`firewall ${command}`);
  if (command === 'CHECK') return [rowOf('kube-nwplcy CHECK', firewall), firewall];
  const portmap = rowOf(`portmap ${command}`);
  return [rowOf(`kube-nwplcy ${command}`, portmap), portmap, { ...firewall, against: portmap }];
}

async function atOnce(place: Case, rounds: number): Promise<readonly Row[]> {
  const { bench, name, empty } = place;
  const samples = { 'kube-nwplcy': [] as number[], portmap: [] as number[], empty: [] as number[] };
  const quarantined: number[] = [];
  const pods = await expectPods(place, AT_ONCE, 'crowd');
  for (const _ of numbers(rounds)) {
    if (place.agent) await bench.settle();
    for (const plugin of ['kube-nwplcy', 'portmap'] as const) {
      const calls = pods.flatMap((pod, index) => plugins(pod, index).filter((call) => call.plugin === plugin));
      samples[plugin].push(await bench.callAll(calls.map((call) => ({ ...call, command: 'ADD' }))));
      if (plugin === 'kube-nwplcy') quarantined.push(bench.quarantined(pods));
      await bench.callAll(calls.map((call) => ({ ...call, command: 'DEL' })));
    }
    samples.empty.push(await bench.runAll(pods.map(() => [empty])));
  }
  await bench.unlink(pods);
  const common = { case: name, unit: 'ms' } as const;
  const portmap: Row = { ...common, what: `portmap ADD × ${AT_ONCE} at once`, samples: samples.portmap };
  return [
    { ...common, what: `kube-nwplcy ADD × ${AT_ONCE} at once`, samples: samples['kube-nwplcy'], against: portmap },
    portmap,
    ...(place.agent
      ? [
          {
            ...common,
            what: `of these ${AT_ONCE}, refused for want of an answer`,
            unit: 'pods' as const,
            samples: quarantined,
          },
        ]
      : []),
    { ...common, what: `empty × ${AT_ONCE} at once`, samples: samples.empty },
  ];
}

/** Makes the interfaces of pods that are yet to be attached, and makes them known to the agent. */
async function expectPods(
  { bench, objects, agent }: Case,
  count: number,
  kind: 'tested' | 'crowd' = 'tested',
): Promise<readonly MadeUpPod[]> {
  const pods = numbers(count).map((index) => madeUpPod(kind, index));
  await objects.load(
    kind,
    pods.map((pod) => podManifest(pod, { nodeName: bench.node.name, told: false })),
  );
  if (agent) await bench.sync();
  await bench.link(pods);
  return pods;
}

function plugins(pod: MadeUpPod, index = 0): readonly Omit<PluginCall, 'command'>[] {
  const portMappings = [{ hostPort: 8080 + index, containerPort: 80, protocol: 'tcp' }];
  return [
    { plugin: 'kube-nwplcy', pod },
    { plugin: 'portmap', pod, config: { capabilities: { portMappings: true }, runtimeConfig: { portMappings } } },
    { plugin: 'firewall', pod, config: { backend: 'iptables' } },
  ];
}

/** portmap fails CHECK of a pod without an IPv6 address, for want of IPv6 chains that its ADD did not make. */
function eachCommand(plugin: Omit<PluginCall, 'command'>): readonly PluginCall[] {
  const commands = plugin.plugin === 'portmap' ? COMMANDS.filter((command) => command !== 'CHECK') : COMMANDS;
  return commands.map((command) => ({ ...plugin, command }));
}

function byCommand(a: PluginCall, b: PluginCall): number {
  return COMMANDS.indexOf(a.command) - COMMANDS.indexOf(b.command);
}

function turned<T>(list: readonly T[], by: number): readonly T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** The product on the fullest node against itself on the empty one. */
function growthRows(rows: readonly Row[]): readonly Row[] {
  return COMMANDS.flatMap((command) => {
    const own = rows.filter(({ what, case: name }) => what === `kube-nwplcy ${command}` && !name.endsWith('no agent'));
    const [first, last] = [own[0], own.at(-1)];
    return first === undefined || last === undefined ? [] : [{ ...last, against: first }];
  });
}
