import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadExamples, type Example } from '../helpers/examples.ts';
import { clusterOf } from '../helpers/manifests.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import type { Lab } from '../lab/lab.ts';
import { disagreements, matrix } from '../lab/matrix.ts';
import type { LabPod } from '../lab/pod.ts';
import { ProductCluster } from './cluster.ts';
import {
  addHosts,
  addPods,
  freePods,
  keyOf,
  manifestsOf,
  mispinned,
  portsOf,
  type OutsideHosts,
} from './placedExample.ts';

const EXAMPLES = loadExamples();
const PORTS = [...new Set(EXAMPLES.flatMap(portsOf))];

describe.for<{ mode: PodNetworkMode; nodes: number }>([
  { mode: 'bridge', nodes: 1 },
  { mode: 'bridge', nodes: 2 },
  { mode: 'ptp', nodes: 1 },
  { mode: 'ptp', nodes: 2 },
])('$mode, nodes: $nodes', ({ mode, nodes }) => {
  let cluster: ProductCluster;
  const hosts: OutsideHosts = new Map();

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, nodes, listen: PORTS });
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.for(EXAMPLES)('$name has its pinned verdicts and those of evaluate', async (example) => {
    const { lab } = cluster;
    await using stack = new AsyncDisposableStack();
    applyAll(lab, example, stack);
    const pods = await addPods(lab, example, stack);
    const outside = await addHosts(lab, example, hosts);
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
