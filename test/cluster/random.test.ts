import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clusterManifests } from '../helpers/arbitraries.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';
import { ApiCluster } from './apiCluster.ts';
import { ApiError } from './apiClient.ts';

// Events that nobody thought of, with faults between them: in the end the kernels agree with what the API server holds.

const SEEDS = [1, 2, 3];
const PORTS = [53, 80, 8080];
const PODS = 6;
const EVENTS = 24;

let cluster: ApiCluster;
let pods: (LabPod | undefined)[] = [];

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', listen: PORTS });
  pods = await Promise.all(Array.from({ length: PODS }, async (_, index) => addPod(index, {})));
});
afterAll(() => cluster[Symbol.dispose]());

type Labels = Readonly<Record<string, string>>;

type Event =
  | { readonly kind: 'policy'; readonly index: number }
  | { readonly kind: 'no policy'; readonly index: number }
  | { readonly kind: 'pod labels'; readonly pod: number; readonly labels: Labels }
  | { readonly kind: 'namespace labels'; readonly namespace: number; readonly labels: Labels }
  | { readonly kind: 'another pod'; readonly pod: number; readonly labels: Labels }
  | { readonly kind: 'API server restarts' | 'connections die' | 'compaction' }
  | { readonly kind: 'agent restarts'; readonly node: 1 | 2 };

const NAMESPACES = ['alpha', 'beta'];
const labels: fc.Arbitrary<Labels> = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('x', 'y'));
const pod = fc.nat({ max: PODS - 1 });
const index = fc.nat({ max: 5 });

const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('policy' as const), index }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('no policy' as const), index }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('pod labels' as const), pod, labels }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('namespace labels' as const),
        namespace: fc.nat({ max: NAMESPACES.length - 1 }),
        labels,
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('another pod' as const), pod, labels }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('API server restarts' as const, 'connections die' as const, 'compaction' as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('agent restarts' as const),
        node: fc.constantFrom(1 as const, 2 as const),
      }),
    },
  ),
  { minLength: EVENTS, maxLength: EVENTS },
);

test.for(SEEDS)('after events of seed %i every pair is as evaluate says of what the API server holds', async (seed) => {
  const policies = generatedPolicies(seed);
  const [sequence = []] = fc.sample(events, { numRuns: 1, seed });
  for (const event of sequence) await play(event, policies);
  const living = pods.filter((one) => one !== undefined);
  await cluster.api.reconnect();
  expect(await cluster.wrongs(living, { ports: PORTS })).toEqual([]);
  // A cluster without policies would prove nothing.
  expect((await cluster.api.cluster()).policies.size).toBeGreaterThan(0);
});

async function play(event: Event, policies: readonly Manifest[]): Promise<void> {
  const { api, product } = cluster;
  switch (event.kind) {
    case 'policy':
      return applyPolicy(event.index, policies);
    case 'no policy':
      return api.admin.delete(policyAt(event.index, policies));
    case 'pod labels':
      return relabel(event.pod, event.labels);
    case 'namespace labels': {
      const name = NAMESPACES[event.namespace] ?? '';
      await api.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: event.labels } });
      return;
    }
    case 'another pod':
      await pods[event.pod]?.delete();
      pods[event.pod] = undefined;
      pods[event.pod] = await addPod(event.pod, event.labels);
      return;
    case 'API server restarts':
      await api.apiServer().kill();
      return api.startApiServer();
    case 'connections die':
      return api.freezeConnections();
    case 'compaction':
      return api.compact();
    case 'agent restarts':
      await product.agent(event.node).kill();
      await product.startAgent(event.node);
  }
}

/** Returns six policies of what somebody might write, as an API server takes them. */
function generatedPolicies(seed: number): readonly Manifest[] {
  const samples = fc.sample(clusterManifests, { numRuns: 40, seed }).flat();
  const found = samples.filter(({ kind }) => kind === 'NetworkPolicy').slice(0, 6);
  return found.map((policy, number) => {
    const spec: unknown = JSON.parse(
      JSON.stringify(policy['spec']).replaceAll(/(?<="protocol":)"\w+"/g, (protocol) => protocol.toUpperCase()),
    );
    const metadata = { namespace: NAMESPACES[number % NAMESPACES.length] ?? '', name: `policy-${number}` };
    return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
  });
}

function policyAt(at: number, policies: readonly Manifest[]): Manifest {
  const found = policies[at % policies.length];
  if (found === undefined) throw new Error('Cannot choose a policy: none was generated');
  return found;
}

/** Puts a policy in place, unless the API server refuses its content. */
async function applyPolicy(at: number, policies: readonly Manifest[]): Promise<void> {
  try {
    await cluster.api.admin.apply(policyAt(at, policies));
  } catch (error) {
    if (!(error instanceof ApiError && [400, 422].includes(error.status))) throw error;
  }
}

/** Gives a pod these labels and no others. */
async function relabel(at: number, to: Labels): Promise<void> {
  const { namespace = '', name = '' } = pods[at] ?? {};
  const gone = { app: null, tier: null };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name } };
  await cluster.api.admin.patch(object, { metadata: { labels: { ...gone, ...to } } });
}

async function addPod(at: number, podLabels: Labels): Promise<LabPod> {
  const spec: PodSpec = {
    namespace: NAMESPACES[at % NAMESPACES.length] ?? '',
    name: `pod-${at}`,
    labels: podLabels,
    ports: [{ name: 'web', containerPort: 8080 }],
  };
  return cluster.lab.node(1 + (Math.floor(at / 2) % 2)).addPod(spec);
}
