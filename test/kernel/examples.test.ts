import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { familyOf } from '../../src/net/family.ts';
import { loadExamples, type Example, type ExampleCell } from '../helpers/examples.ts';
import { clusterOf } from '../helpers/manifests.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { describe as describeCell, disagreements, isOpen, matrix, type Cell, type Party } from '../lab/matrix.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import { ProductCluster } from './cluster.ts';

const EXAMPLES = loadExamples();
const PORTS = [...new Set(EXAMPLES.flatMap(({ cells }) => cells.map(({ port }) => port)))];

describe.for<{ mode: PodNetworkMode; nodes: number }>([
  { mode: 'bridge', nodes: 1 },
  { mode: 'bridge', nodes: 2 },
  { mode: 'ptp', nodes: 1 },
  { mode: 'ptp', nodes: 2 },
])('$mode, nodes: $nodes', ({ mode, nodes }) => {
  let cluster: ProductCluster;
  const hosts = new Map<string, LabHost>();

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, nodes, listen: PORTS });
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for(EXAMPLES)('$name has its pinned verdicts and those of evaluate', async (example) => {
    const { lab } = cluster;
    await using stack = new AsyncDisposableStack();
    applyAll(lab, example, stack);
    const pods = await addPods(lab, example, stack);
    const outside: LabHost[] = [];
    for (const pod of fixedPods(example)) outside.push(await addHost(lab, hosts, pod));
    await lab.sync();

    const parties = [...pods, ...outside];
    const all = await matrix({ from: parties, to: parties }, { ports: portsOf(example) });
    const cells = all.filter(({ from, to }) => pods.some((pod) => pod === from || pod === to));
    expect(disagreements(cells, evaluated(example, pods))).toEqual([]);
    expect(mispinned(cells, example)).toEqual([]);
  });
});

/** Puts an example's namespaces and policies in place, the ones under test as their file has them, until the stack is disposed. */
function applyAll({ manifests }: Lab, example: Example, stack: AsyncDisposableStack): void {
  for (const object of [...manifestsOf(example, 'Namespace'), ...manifestsOf(example, 'NetworkPolicy')]) {
    manifests.apply(object);
    stack.defer(() => void manifests.delete(object));
  }
  const file = basename(example.file);
  manifests.write(file, readFileSync(example.file, 'utf8'));
  stack.defer(() => void manifests.remove(file));
}

interface ObjectManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly containers?: readonly { readonly ports?: NonNullable<PodSpec['ports']> }[] };
  readonly [key: string]: unknown;
}

function manifestsOf(example: Example, kind: string): readonly ObjectManifest[] {
  return (example.cluster as readonly ObjectManifest[]).filter((manifest) => manifest.kind === kind);
}

function keyOf({ metadata }: ObjectManifest): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** The pods whose addresses an example chooses stand for hosts outside of the cluster: their networks are no node's. */
function fixedPods(example: Example): readonly ObjectManifest[] {
  return manifestsOf(example, 'Pod').filter((pod) => (example.addresses.get(keyOf(pod)) ?? []).length > 0);
}

function freePods(example: Example): readonly ObjectManifest[] {
  const fixed = fixedPods(example);
  return manifestsOf(example, 'Pod').filter((pod) => !fixed.includes(pod));
}

async function addPods(lab: Lab, example: Example, stack: AsyncDisposableStack): Promise<readonly LabPod[]> {
  const added = freePods(example).map(async ({ metadata, spec }, index) =>
    lab.node(1 + (index % lab.nodes.length)).addPod({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      labels: metadata.labels ?? {},
      ports: (spec?.containers ?? []).flatMap(({ ports = [] }) => ports),
    }),
  );
  const pods = await Promise.all(added);
  for (const pod of pods) stack.defer(async () => pod.delete());
  return pods;
}

async function addHost(lab: Lab, hosts: Map<string, LabHost>, pod: ObjectManifest): Promise<LabHost> {
  const addresses = ((pod['status'] as { podIPs: readonly { ip: string }[] }).podIPs ?? []).map(({ ip }) => ip);
  const id = [keyOf(pod), ...addresses].join();
  const host = hosts.get(id) ?? (await lab.addHost(keyOf(pod), addresses));
  hosts.set(id, host);
  return host;
}

function portsOf({ cells }: Example): readonly number[] {
  return [...new Set(cells.map(({ port }) => port))];
}

function evaluated(example: Example, pods: readonly LabPod[]) {
  const addresses = new Map(pods.map((pod) => [pod.key, pod.addresses]));
  const placed = freePods(example).map((pod) => ({
    ...pod,
    status: { podIPs: (addresses.get(keyOf(pod)) ?? []).map((ip) => ({ ip })) },
  }));
  return clusterOf([
    ...manifestsOf(example, 'Namespace'),
    ...manifestsOf(example, 'NetworkPolicy'),
    ...placed,
    ...example.policies,
  ]);
}

/** Returns a line for each cell whose pinned verdict the kernel does not give. */
function mispinned(cells: readonly Cell[], example: Example): readonly string[] {
  const measured = new Map(cells.map((cell) => [idOf(cell.from, cell.to, cell.target), cell]));
  return example.cells.flatMap((pinned) => {
    const cell = measured.get(pinnedId(pinned));
    return cell === undefined || isOpen(cell) === (pinned.verdict === 'allow') ? [] : [describeCell(cell)];
  });
}

function idOf(from: Party, to: Party, { address, protocol, port }: Cell['target']): string {
  return [from.key, to.key, protocol, port, familyOf(address)].join(' ');
}

function pinnedId({ from, to, protocol, port, family }: ExampleCell): string {
  return [from, to, protocol, port, family].join(' ');
}
