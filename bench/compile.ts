import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { changesBetween, NO_OBJECTS, type Cluster } from '../src/kube/cluster.ts';
import { decodeValue } from '../src/kube/field.ts';
import { decodePod } from '../src/kube/pod.ts';
import { IP_FAMILIES } from '../src/net/family.ts';
import { Compilation } from '../src/policy/compile.ts';
import type { NodePolicy } from '../src/policy/model.ts';
import { addressSets } from '../src/rules/iptables/addressSet.ts';
import { profileChains } from '../src/rules/iptables/profileChain.ts';
import { wantedPolicy, type WantedPolicy } from '../src/rules/wanted.ts';
import type { Manifest } from '../test/lab/manifests.ts';
import { clusterFrom, put, type LiveCluster } from './liveCluster.ts';
import { largeCluster, localPodsOf, numbers, podManifest, policy, remotePod, type ClusterSize } from './madeUp.ts';
import type { BenchOptions } from './part.ts';
import type { Report, Row } from './report.ts';
import { growth, summarize } from './statistics.ts';

const NODE = 'node-1';
/** Runs until everything is compiled. */
const WARM_UP = 5;
/** What takes microseconds is timed together. */
const BATCH = 20;

/** What the pure path costs: from the objects to what the kernel should hold, without a kernel. */
export async function compile({ full, say }: BenchOptions): Promise<Report> {
  const measured = sizes(full).map((size) => {
    say(caseName(size));
    return measureSize(size, full ? 31 : 21);
  });
  return Promise.resolve({
    rows: [...measured.flatMap(({ rows }) => rows), decoding()],
    notes: [...NOTES, ...growthNotes(measured)],
  });
}

const NOTES = [
  '"From scratch": a new `Compilation` takes over all decoded objects, and `wantedPolicy` what comes of it, for a node with 30 pods.',
  '"An event": an object of a cluster that changes in place is replaced, and the same `Compilation` is told which; where the answer is another, `wantedPolicy` takes it over. A sample is the mean of 20.',
  '"As text": the sets and chains of iptables after it, of which an event needs the chains of profiles that are new. Members that come or go are written from the group\'s own account of them, which is not in here.',
  '"Memory": what the heap holds more for a `Compilation`, beside the objects.',
  '"Many groups": 1,000 policies more, each of which selects local pods and has a peer of its own, half of them in all namespaces of a team.',
];

function sizes(full: boolean): readonly ClusterSize[] {
  if (!full)
    return [1000, 10_000].flatMap((pods) => [100, 1000].map((policies) => ({ pods, namespaces: 100, policies })));
  const pods = [1000, 10_000, 100_000, 150_000];
  const grid = [100, 1000, 10_000].flatMap((policies) => pods.map((all) => ({ pods: all, namespaces: 100, policies })));
  return [...grid, { pods: 150_000, namespaces: 1000, policies: 10_000 }, LARGEST];
}

const LARGEST: ClusterSize = { pods: 150_000, namespaces: 5000, policies: 10_000 };

function caseName({ pods, namespaces, policies }: ClusterSize): string {
  return `${pods} pods, ${namespaces} namespaces, ${policies} policies`;
}

interface Measured {
  readonly size: ClusterSize;
  readonly rows: readonly Row[];
}

function measureSize(size: ClusterSize, runs: number): Measured {
  const cluster = clusterFrom(manifestsOf(size));
  const memory = { what: 'memory', unit: 'MB', samples: [memoryOf(cluster)] } as const;
  const rows = [memory, ...measureCluster(cluster, { size, runs })];
  if (size.policies !== 1000) return { size, rows: rows.map((row) => ({ ...row, case: caseName(size) })) };
  for (const manifest of manyGroups(size)) put(cluster, manifest);
  const crowded = measureCluster(cluster, { size, runs }).map((row) => ({ ...row, what: `${row.what}, many groups` }));
  return { size, rows: [...rows, ...crowded].map((row) => ({ ...row, case: caseName(size) })) };
}

type CaselessRow = Pick<Row, 'what' | 'unit' | 'samples'>;

function measureCluster(
  cluster: LiveCluster,
  { size, runs }: { readonly size: ClusterSize; readonly runs: number },
): readonly CaselessRow[] {
  const scratch = samplesOf(Math.ceil(runs / 3), () => timesFromScratch(cluster));
  const follower = new Follower(cluster);
  const events = EVENTS.flatMap(({ what, object }) => {
    let turn = 0;
    const mean = () => meanOf(numbers(BATCH).map(() => follower.timesOf(object(size, (turn += 1)))));
    return rowsOf(what, { unit: 'µs', times: samplesOf(runs, mean) });
  });
  return [...rowsOf('from scratch', { unit: 'ms', times: scratch }), ...events];
}

/** How many milliseconds it took to compile and to write as text. */
interface Times {
  readonly compiled: number;
  readonly written: number;
}

function meanOf(times: readonly Times[]): Times {
  const mean = (of: (one: Times) => number) => times.reduce((sum, one) => sum + of(one), 0) / times.length;
  return { compiled: mean(({ compiled }) => compiled), written: mean(({ written }) => written) };
}

/** The text is left out where there is none. */
function rowsOf(
  what: string,
  { unit, times }: { readonly unit: 'ms' | 'µs'; readonly times: readonly Times[] },
): readonly CaselessRow[] {
  const scale = unit === 'ms' ? 1 : 1000;
  const compiled = { what, unit, samples: times.map((one) => one.compiled * scale) };
  if (times.every(({ written }) => written === 0)) return [compiled];
  return [compiled, { what: `${what}, as text`, unit, samples: times.map(({ written }) => written * scale) }];
}

function samplesOf<Sample>(runs: number, take: () => Sample): readonly Sample[] {
  return numbers(runs + WARM_UP)
    .map(take)
    .slice(WARM_UP);
}

function* manifestsOf(size: ClusterSize): Generator<Manifest> {
  yield* largeCluster(size);
  for (const pod of localPodsOf(size)) yield podManifest(pod, { nodeName: NODE });
}

function timesFromScratch(cluster: Cluster): Times {
  const changes = changesBetween(NO_OBJECTS, cluster);
  const started = performance.now();
  const made = wantedPolicy(new Compilation(NODE).update(cluster, changes));
  const compiled = performance.now() - started;
  for (const group of made.groups.values()) addressSets(group);
  write(made, new Set());
  return { compiled, written: performance.now() - started - compiled };
}

/** Writes the chains of the profiles that are not known, and returns whether there were any. */
function write({ profiles }: WantedPolicy, known: Set<unknown>): boolean {
  const added = [...profiles.values()].filter((profile) => !known.has(profile));
  for (const profile of added) {
    known.add(profile);
    for (const family of IP_FAMILIES) profileChains(profile, family);
  }
  return added.length > 0;
}

/** Follows a cluster as an agent does. */
class Follower {
  readonly #cluster: LiveCluster;
  readonly #compilation = new Compilation(NODE);
  readonly #known = new Set<unknown>();
  #policy: NodePolicy;

  constructor(cluster: LiveCluster) {
    this.#cluster = cluster;
    this.#policy = this.#compilation.update(cluster, changesBetween(NO_OBJECTS, cluster));
    write(wantedPolicy(this.#policy), this.#known);
  }

  /** Puts an object into the cluster. */
  timesOf(manifest: Manifest): Times {
    const changes = put(this.#cluster, manifest);
    const started = performance.now();
    const made = this.#compilation.update(this.#cluster, changes);
    const wanted = made === this.#policy ? undefined : wantedPolicy(made);
    this.#policy = made;
    const compiled = performance.now() - started;
    const hasWritten = wanted !== undefined && write(wanted, this.#known);
    return { compiled, written: hasWritten ? performance.now() - started - compiled : 0 };
  }
}

interface Event {
  readonly what: string;
  /** What is put into the cluster for it, the other way round each time. */
  readonly object: (size: ClusterSize, turn: number) => Manifest;
}

const EVENTS: readonly Event[] = [
  { what: 'a pod that local policies name', object: (size, turn) => remotePod(0, { ...size, turn: turn % 2 }) },
  // Each third turn has the same tier as before, and of this pod it is one that nobody names.
  { what: 'a pod that nobody names', object: (size, turn) => remotePod(1, { ...size, turn: (turn % 2) * 3 }) },
  { what: 'a policy', object: (_, turn) => changedPolicy(turn % 2) },
  {
    what: 'a namespace',
    object: (_, turn) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'ns-50', labels: { team: `t${turn % 2}` } },
    }),
  },
];

/** One of the policies that select local pods, with one or with two ports. */
function changedPolicy(more: number): Manifest {
  const ports = numbers(1 + more).map((index) => ({ protocol: 'TCP', port: 7000 + 10 * index }));
  const from = [{ podSelector: { matchLabels: { tier: 'web' } } }];
  return policy('changed', { podSelector: { matchLabels: { app: 'app-0' } }, ingress: [{ from, ports }] }, 'ns-0');
}

/** Policies of the namespaces where the local pods are: every one selects one of them, and has a peer of its own. */
function* manyGroups({ namespaces }: ClusterSize): Generator<Manifest> {
  for (const index of numbers(1000)) {
    const podSelector = { matchLabels: { tier: 'cache', release: `r${index}` } };
    const scope = index % 2 === 0 ? {} : { namespaceSelector: { matchLabels: { team: `t${index % 10}` } } };
    const spec = {
      podSelector: { matchLabels: { app: `app-${index % 20}` } },
      ingress: [{ from: [{ ...scope, podSelector }], ports: [{ protocol: 'TCP', port: 9000 + index }] }],
    };
    yield policy(`group-${index}`, spec, `ns-${index % Math.min(10, namespaces)}`);
  }
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memoryOf(cluster: Cluster): number {
  const changes = changesBetween(NO_OBJECTS, cluster);
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const compilation = new Compilation(NODE);
  compilation.update(cluster, changes);
  collectGarbage();
  const after = process.memoryUsage().heapUsed;
  // Still in use, so that it is not collected before.
  compilation.update(cluster, changesBetween(NO_OBJECTS, NO_OBJECTS));
  return (after - before) / 1e6;
}

function decoding(): Row {
  const manifests = numbers(1000).map((index) => remotePod(index, { namespaces: 100 }));
  const take = (): number => {
    const started = performance.now();
    for (const manifest of manifests) decodeValue(manifest, decodePod);
    return performance.now() - started;
  };
  return { what: 'decoding', case: '1000 pods', unit: 'ms', samples: samplesOf(21, take) };
}

/** How the costs grow with the pods, from the smallest to the largest number, for as many policies. */
function growthNotes(measured: readonly Measured[]): readonly string[] {
  return [...Map.groupBy(measured, ({ size }) => size.policies)].flatMap(([policies, group]) => {
    const grid = group.filter(({ size }) => size.namespaces === 100);
    const [first, last] = [grid[0], grid.at(-1)];
    if (first === undefined || last === undefined) return [];
    const exponents = ['from scratch', ...EVENTS.map(({ what }) => what)].map((what) => {
      const exponent = growth(
        { size: first.size.pods, cost: cost(first, what) },
        { size: last.size.pods, cost: cost(last, what) },
      );
      return `${what} with the power of ${exponent.toFixed(2)}`;
    });
    return [
      `With ${policies} policies in 100 namespaces, from ${first.size.pods} to ${last.size.pods} pods, the cost grows: ${exponents.join(', ')} (0 is flat, 1 is linear).`,
    ];
  });
}

function cost({ rows }: Measured, what: string): number {
  return summarize(rows.find((row) => row.what === what)?.samples ?? []).median;
}
