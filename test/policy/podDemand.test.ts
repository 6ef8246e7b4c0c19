import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { compile } from '../../src/policy/compile.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import type { Flow } from '../../src/policy/flow.ts';
import { podDemand, type PodDemand } from '../../src/policy/podDemand.ts';
import { selects } from '../../src/policy/selector.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowsOf } from '../helpers/flows.ts';
import { clusterOf, pod, policy, type Manifest } from '../helpers/manifests.ts';
import { plainRules } from '../helpers/plainRules.ts';

const NODE = 'node-1';

function demandOf({ policies, pods }: Cluster): PodDemand {
  return podDemand(
    policies.values(),
    [...pods.values()].filter(({ nodeName }) => nodeName === NODE),
  );
}

/** Returns the cluster as a node knows it that has only heard of its own pods and of those in demand. */
function known(cluster: Cluster): Cluster {
  const demand = demandOf(cluster);
  const isKnown = (one: Pod) =>
    one.nodeName === NODE ||
    demand === 'all' ||
    demand.some(
      ({ namespaces, pods }) =>
        selects(pods, one.labels) &&
        (typeof namespaces === 'string'
          ? namespaces === one.namespace
          : selects(namespaces, cluster.namespaces.get(one.namespace)?.labels ?? new Map())),
    );
  return { ...cluster, pods: new Map([...cluster.pods].filter(([, one]) => isKnown(one))) };
}

describe('with the pods in demand alone', () => {
  test("the node's end says of every flow of its pods what it says with all pods", { timeout: 60_000 }, () => {
    const agrees = fc.property(clusterManifests, (manifests) => {
      const cluster = clusterOf(manifests);
      const some = known(cluster);
      const flows = flowsOf(cluster).map((flow) => byAddress(cluster, flow));
      const verdicts = (of: Cluster) =>
        flows.map((flow) => {
          const verdict = evaluate(of, flow);
          return {
            flow,
            egress: isOwn(cluster, flow.from) && refuses(verdict.egress),
            ingress: isOwn(cluster, flow.to) && refuses(verdict.ingress),
          };
        });
      expect(verdicts(some)).toEqual(verdicts(cluster));
    });
    fc.assert(agrees, { numRuns: 200 });
  });

  test("the node's rules are the same", { timeout: 60_000 }, () => {
    const agrees = fc.property(clusterManifests, (manifests) => {
      const cluster = clusterOf(manifests);
      expect(plainRules(compile(known(cluster), NODE))).toEqual(plainRules(compile(cluster, NODE)));
    });
    fc.assert(agrees, { numRuns: 300 });
  });

  test('most of a cluster need not be known', () => {
    const clusters = fc.sample(clusterManifests, { numRuns: 100, seed: 1 }).map(clusterOf);
    const sum = (of: readonly Cluster[]) => of.reduce((total, { pods }) => total + pods.size, 0);
    expect(sum(clusters.map(known)) / sum(clusters)).toBeLessThan(0.8);
  });
});

describe('demand', () => {
  const own = (labels = {}) => pod('shop/own', { labels });
  const demandWith = (spec: Manifest, labels = {}) => demandOf(clusterOf([own(labels), policy('shop/p', spec)]));
  const to = (egress: Manifest) => demandWith({ podSelector: {}, policyTypes: ['Egress'], egress: [egress] });
  const web = [{ port: 'web' }];

  test('is nothing for a policy that selects no pod of the node', () => {
    const spec = { podSelector: { matchLabels: { app: 'x' } }, ingress: [{ from: [{ namespaceSelector: {} }] }] };
    expect(demandWith(spec)).toEqual([]);
    expect(demandWith(spec, { app: 'x' })).toHaveLength(1);
  });

  test('is nothing for rules of a direction in which the policy does not isolate', () => {
    const ingress = [{ from: [{ podSelector: {} }] }];
    expect(demandWith({ podSelector: {}, policyTypes: ['Egress'], ingress })).toEqual([]);
  });

  test("is all pods for a named port of any pod's, or of any in a network", () => {
    const networks = [{ ipBlock: { cidr: '10.0.0.0/8' } }];
    expect(to({ ports: web })).toBe('all');
    expect(to({ to: networks, ports: web })).toBe('all');
    expect(to({ to: networks, ports: [{ port: 80 }] })).toEqual([]);
    expect(to({ to: [{ podSelector: {} }], ports: web })).toMatchObject([{ namespaces: 'shop' }]);
  });

  test('is nothing for a named port that the node’s own pods have', () => {
    expect(demandWith({ podSelector: {}, ingress: [{ ports: web }] })).toEqual([]);
  });
});

/** Packets bear addresses: who has one of which nobody knows is no pod to this node. */
function byAddress(cluster: Cluster, flow: Flow): Flow {
  const named = (end: Flow['from']): Flow['from'] =>
    end.kind !== 'pod' || isOwn(cluster, end) || end.address === undefined
      ? end
      : { kind: 'address', address: end.address };
  return { ...flow, from: named(flow.from), to: named(flow.to) };
}

function isOwn({ pods }: Cluster, end: Flow['from']): boolean {
  return end.kind === 'pod' && pods.get(`${end.namespace}/${end.name}`)?.nodeName === NODE;
}

function refuses({ kind }: { readonly kind: string }): boolean {
  return kind === 'refused';
}
