import { localView } from '../src/agent/localPods.ts';
import type { Cluster } from '../src/kube/cluster.ts';
import { decodePod } from '../src/kube/pod.ts';
import { decodeValue } from '../src/kube/field.ts';
import { compile as compilePolicy } from '../src/policy/compile.ts';
import { IP_FAMILIES } from '../src/net/family.ts';
import { addressSets } from '../src/rules/iptables/addressSet.ts';
import { profileRules } from '../src/rules/iptables/profileChain.ts';
import { wantedPolicy, type WantedPolicy } from '../src/rules/wanted.ts';
import { clusterOf } from '../test/helpers/manifests.ts';
import { largeCluster, localPodsOf, numbers, podManifest, remotePod, type ClusterSize } from './madeUp.ts';
import type { BenchOptions } from './part.ts';
import type { Report, Row } from './report.ts';
import { growth, summarize } from './statistics.ts';

const NODE = 'node-1';
/** Runs until everything is compiled. */
const WARM_UP = 15;

/** What the pure path costs: from the objects to what the kernel should hold, without a kernel. */
export async function compile({ full, say }: BenchOptions): Promise<Report> {
  const measured = sizes(full).map((size) => {
    say(caseName(size));
    return measureSize(size, full ? 51 : 21);
  });
  return Promise.resolve({ rows: measured.flatMap(({ rows }) => rows), notes: [...NOTES, ...growthNotes(measured)] });
}

const NOTES = [
  "From decoded objects to the sets and the profiles' rules of iptables, for a node with 30 pods: `localView`, `compile`, `wantedPolicy`, `addressSets`, `profileRules`, as the agent calls them. Decoding is a row of its own.",
  '"An event" replaces one pod of another node that local policies name, in a copy of the cluster that is made beforehand.',
];

function sizes(full: boolean): readonly ClusterSize[] {
  const policies = full ? [100, 1000, 10_000] : [100, 1000];
  const pods = full ? [1000, 10_000, 100_000] : [1000, 10_000];
  return policies.flatMap((count) => pods.map((all) => ({ pods: all, namespaces: 100, policies: count })));
}

function caseName({ pods, namespaces, policies }: ClusterSize): string {
  return `${pods} pods, ${namespaces} namespaces, ${policies} policies`;
}

interface Measured {
  readonly size: ClusterSize;
  readonly rows: readonly Row[];
}

function measureSize(size: ClusterSize, runs: number): Measured {
  const local = localPodsOf(size).map((pod) => podManifest(pod, { nodeName: NODE }));
  const cluster = clusterOf([...largeCluster(size), ...local]);
  const warm = (take: () => number) =>
    numbers(runs + WARM_UP)
      .map(take)
      .slice(WARM_UP);
  const common = { case: caseName(size), unit: 'ms' } as const;
  const scratch: Row = { ...common, what: 'from scratch', samples: warm(() => timeOf(copyOf(cluster))) };
  let turn = 0;
  const event: Row = {
    ...common,
    what: 'an event',
    samples: warm(() => timeOf(changed(cluster, { size, turn: (turn += 1) }))),
    against: scratch,
  };
  const decoding: Row = { ...common, what: 'decoding 1000 pods', samples: warm(() => timeToDecode(size)) };
  return { size, rows: [scratch, event, decoding] };
}

function timeOf(cluster: Cluster): number {
  const started = performance.now();
  const { cluster: seen } = localView(cluster, { nodeName: NODE, attachments: [], detached: new Set() });
  write(wantedPolicy(compilePolicy(seen, NODE)));
  return performance.now() - started;
}

/** The sets and the profiles' rules as iptables has them. */
function write({ groups, profiles }: WantedPolicy): void {
  for (const group of groups.values()) addressSets(group);
  for (const profile of profiles.values()) for (const family of IP_FAMILIES) profileRules(profile, family);
}

/** Nothing that is remembered by object is of use. */
function copyOf({ namespaces, pods, policies }: Cluster): Cluster {
  return structuredClone({ namespaces, pods, policies });
}

function changed(cluster: Cluster, { size, turn }: { readonly size: ClusterSize; readonly turn: number }): Cluster {
  const { pods } = clusterOf([remotePod(0, { ...size, turn })]);
  return { ...cluster, pods: new Map([...cluster.pods, ...pods]) };
}

function timeToDecode(size: ClusterSize): number {
  const manifests = numbers(1000).map((index) => remotePod(index, size));
  const started = performance.now();
  for (const manifest of manifests) decodeValue(manifest, decodePod);
  return performance.now() - started;
}

/** How the costs grow with the pods, from the smallest to the largest number, for as many policies. */
function growthNotes(measured: readonly Measured[]): readonly string[] {
  return [...Map.groupBy(measured, ({ size }) => size.policies)].flatMap(([policies, group]) => {
    const [first, last] = [group[0], group.at(-1)];
    if (first === undefined || last === undefined) return [];
    const exponents = ['from scratch', 'an event'].map((what) => {
      const exponent = growth(
        { size: first.size.pods, cost: cost(first, what) },
        { size: last.size.pods, cost: cost(last, what) },
      );
      return `${what} with the power of ${exponent.toFixed(2)}`;
    });
    return [
      `With ${policies} policies, from ${first.size.pods} to ${last.size.pods} pods, the cost grows: ${exponents.join(', ')} (0 is flat, 1 is linear).`,
    ];
  });
}

function cost({ rows }: Measured, what: string): number {
  return summarize(rows.find((row) => row.what === what)?.samples ?? []).median;
}
