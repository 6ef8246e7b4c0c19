import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadExamples, type Example } from '../helpers/examples.ts';
import {
  addHosts,
  addPods,
  manifestsOf,
  mispinned,
  portsOf,
  type ExampleManifest,
  type OutsideHosts,
} from '../kernel/placedExample.ts';
import type { Manifest } from '../lab/manifests.ts';
import { disagreements, matrix } from '../lab/matrix.ts';
import { ApiCluster } from './apiCluster.ts';
import type { ControlPlane } from './controlPlane.ts';

// API servers give no policies of extensions/v1beta1 any more.
const EXAMPLES = loadExamples().filter(({ policies }) =>
  policies.every(({ apiVersion }) => apiVersion === 'networking.k8s.io/v1'),
);
const PORTS = [...new Set(EXAMPLES.flatMap(portsOf))];

let cluster: ApiCluster;
const hosts: OutsideHosts = new Map();

beforeAll(async () => {
  cluster = await ApiCluster.start({ listen: PORTS });
});
afterAll(() => cluster[Symbol.dispose]());

test.for(EXAMPLES)('$name has its pinned verdicts and those of evaluate', async (example) => {
  const { lab, api } = cluster;
  await using stack = new AsyncDisposableStack();
  await applyAll(api, example, stack);
  const pods = await addPods(lab, example, stack);
  const outside = await addHosts(lab, example, hosts);
  await lab.sync();

  const parties = [...pods, ...outside];
  const all = await matrix({ from: parties, to: parties }, { ports: portsOf(example) });
  const cells = all.filter(({ from, to }) => pods.some((pod) => pod === from || pod === to));
  expect(disagreements(cells, await api.cluster())).toEqual([]);
  expect(mispinned(cells, example)).toEqual([]);
});

/** Puts an example's namespaces and policies in place until the stack is disposed. */
async function applyAll({ admin }: ControlPlane, example: Example, stack: AsyncDisposableStack): Promise<void> {
  for (const object of manifestsOf(example, 'Namespace')) {
    await admin.apply(object);
    stack.defer(async () => void (await admin.apply(withoutLabels(object))));
  }
  for (const object of [...manifestsOf(example, 'NetworkPolicy'), ...(example.policies as readonly Manifest[])]) {
    await admin.apply(object);
    stack.defer(async () => admin.delete(object));
  }
}

function withoutLabels({ apiVersion, kind, metadata: { name } }: ExampleManifest): Manifest {
  return { apiVersion, kind, metadata: { name } };
}
