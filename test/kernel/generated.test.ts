import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { clusterOf, namespace } from '../helpers/manifests.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import type { LabHost } from '../lab/host.ts';
import type { Manifest } from '../lab/manifests.ts';
import { disagreements, matrix } from '../lab/matrix.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import { ProductCluster } from './cluster.ts';

// Clusters that nobody thought of, with real packets. The pure tests run hundreds of them; these tell whether the kernel reads rules as the tracer does.

// Something is open and something refused in each, and in the second something passes by audit mode alone.
const SEEDS = [1, 9, 12];
/** The ports that generated policies name, but for the last of all, and one that none names. */
const PORTS = [1, 53, 80, 8080];
const NODE_PORTS = [7777];

describe.for<{ mode: PodNetworkMode; nodes: number }>([
  { mode: 'bridge', nodes: 1 },
  { mode: 'ptp', nodes: 2 },
])('$mode, nodes: $nodes', ({ mode, nodes }) => {
  let cluster: ProductCluster;
  let outside: LabHost;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, nodes, listen: [...PORTS, ...NODE_PORTS] });
    // In a network that generated ipBlocks are about.
    outside = await cluster.lab.addHost('outside', ['172.17.1.77', '2001:db8::77']);
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for(SEEDS)('a generated cluster of seed %i has the verdicts of evaluate', async (seed) => {
    const { lab } = cluster;
    const manifests = generate(seed);
    const running = manifests.filter(isRunning);
    const others = manifests.filter((manifest) => !isRunning(manifest));
    await using stack = new AsyncDisposableStack();
    for (const object of others) {
      lab.manifests.apply(object);
      stack.defer(() => void lab.manifests.delete(object));
    }
    const pods = await Promise.all(
      running.map(async (manifest, index) => lab.node(1 + (index % nodes)).addPod(specOf(manifest))),
    );
    for (const pod of pods) stack.defer(async () => pod.delete());
    await lab.sync();

    const objects = clusterOf([...others, ...running.map((manifest, index) => placed(manifest, pods[index]))]);
    const parties = [...pods, outside];
    const cells = (await matrix({ from: parties, to: parties }, { ports: [...PORTS, ...NODE_PORTS] })).filter(
      ({ from, to }) => from !== outside || to !== outside,
    );
    expect(disagreements(cells, objects)).toEqual([]);
    // A cluster that refuses nothing, or everything, would prove nothing.
    const outcomes = cells.map(({ outcome }) => outcome);
    expect([outcomes.includes('open'), outcomes.includes('refused')]).toEqual([true, true]);
  });
});

interface PodManifest extends Manifest {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly labels: PodSpec['labels'] & object };
  readonly spec: {
    readonly hostNetwork?: boolean;
    readonly nodeName: string;
    readonly containers: readonly { readonly ports?: NonNullable<PodSpec['ports']> }[];
  };
  readonly status: { readonly phase: string };
}

/** Returns a generated cluster with three policies at least that are not in audit mode. Its IPv6 networks are moved to where the lab's pods are. */
function generate(seed: number): readonly Manifest[] {
  const samples = fc.sample(clusterManifests, { numRuns: 20, seed });
  const rich = samples.find((manifests) => enforcingIn(manifests) >= 3) ?? [];
  const here = JSON.parse(JSON.stringify(rich).replaceAll('fd00:10:244:', 'fd00:244:0:')) as readonly Manifest[];
  return withNamespaces(here);
}

function enforcingIn(manifests: readonly Readonly<Record<string, unknown>>[]): number {
  const { policies, namespaces } = clusterOf(manifests);
  return [...policies.values()].filter(
    ({ audit, namespace: own }) => audit !== true && namespaces.get(own)?.audit !== true,
  ).length;
}

/** A directory of manifests has a namespace for each pod; `evaluate` has those that it is given. */
function withNamespaces(manifests: readonly Manifest[]): readonly Manifest[] {
  const { namespaces, pods } = clusterOf(manifests);
  const missing = new Set([...pods.values()].map((pod) => pod.namespace)).difference(new Set(namespaces.keys()));
  return [...[...missing].map((name) => namespace(name) as Manifest), ...manifests];
}

function isRunning(manifest: Manifest): manifest is PodManifest {
  if (manifest.kind !== 'Pod') return false;
  const { spec, status } = manifest as PodManifest;
  return spec.hostNetwork !== true && spec.nodeName !== '' && ['Running', 'Pending'].includes(status.phase);
}

function specOf({ metadata, spec }: PodManifest): PodSpec {
  const ports = spec.containers.flatMap(({ ports: each = [] }) => each);
  return { namespace: metadata.namespace, name: metadata.name, labels: metadata.labels, ports };
}

function placed(manifest: PodManifest, pod: LabPod | undefined): Manifest {
  return { ...manifest, status: { phase: 'Running', podIPs: (pod?.addresses ?? []).map((ip) => ({ ip })) } };
}
