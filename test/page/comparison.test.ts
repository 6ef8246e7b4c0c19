import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import { isFinished } from '../../src/kube/pod.ts';
import { portText } from '../../src/kube/portText.ts';
import { changedCells } from '../../src/page/changedCells.ts';
import { Comparison, type PageCell } from '../../src/page/comparison.ts';
import { applied } from '../../src/policy/applied.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { matrix } from '../../src/policy/matrix.ts';
import { matrixChanges } from '../../src/policy/matrixChanges.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowOf } from '../helpers/flowText.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const PORTS = [
  { port: 80, protocol: 'TCP' },
  { port: 53, protocol: 'UDP' },
] as const;

function cellsOf({ groups }: Comparison): readonly PageCell[] {
  return groups.flatMap((from) => groups.flatMap((to) => to.ports.map((port) => ({ from, to, port }))));
}

/** Every pair of pods of a cell, but a pod with itself where there are others. */
function flowsOf({ from, to, port }: PageCell): readonly string[] {
  const pairs = from.pods.flatMap((a) => to.pods.map((b) => [a, b] as const));
  const others = pairs.filter(([a, b]) => a !== b);
  return (others.length > 0 ? others : pairs).map(([a, b]) => `${a} > ${b} ${port.protocol}/${port.port}`);
}

function stateOf(cluster: Cluster, flows: readonly string[]): string {
  const verdicts = flows.map((flow) => evaluate(cluster, flowOf(flow)));
  if (verdicts.every(({ allowed }) => !allowed)) return 'blocked';
  if (verdicts.some(({ allowed }) => !allowed)) return 'mixed';
  return verdicts.some(({ egress, ingress }) => egress.kind === 'audited' || ingress.kind === 'audited')
    ? 'audit'
    : 'allowed';
}

test('every cell is what evaluate says of all its pairs of pods', () => {
  const agrees = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    const comparison = new Comparison({ before: cluster }, { ports: PORTS });
    const wrong = cellsOf(comparison).filter((cell) => {
      const expected = stateOf(cluster, flowsOf(cell));
      return comparison.state(cell, 'before') !== expected || comparison.change(cell) !== undefined;
    });
    expect(wrong).toEqual([]);
  });
  fc.assert(agrees, { numRuns: 100 });
});

test('every pod that runs is in one row', () => {
  const isWhole = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    const { groups } = new Comparison({ before: cluster }, {});
    const running = [...cluster.pods].filter(([, each]) => !isFinished(each)).map(([key]) => key);
    expect(groups.flatMap(({ pods }) => pods).toSorted()).toEqual(running.toSorted());
  });
  fc.assert(isWhole, { numRuns: 50 });
});

test('before and after a change each cell is what evaluate says then, and what the change does is what matrix --diff says', () => {
  const agrees = fc.property(clusterManifests, clusterManifests, (manifests, others) => {
    const before = clusterOf(manifests);
    const after = applied(before, [...clusterOf(others.filter(isPolicy)).policies.values()]);
    const comparison = new Comparison({ before, after }, { ports: PORTS });
    const changes = [...matrixChanges(matrix(before, { ports: PORTS }), matrix(after, { ports: PORTS }))];
    const expected = new Map(
      changes.map(({ change, cell }) => [`${cell.from} > ${cell.to} ${portText(cell)}`, change]),
    );
    const wrong = cellsOf(comparison).filter((cell) => {
      const flows = flowsOf(cell);
      const isAsEvaluated = [
        { when: 'before', cluster: before } as const,
        { when: 'after', cluster: after } as const,
      ].every(({ when, cluster }) => comparison.state(cell, when) === stateOf(cluster, flows));
      const wanted = new Set(flows.flatMap((flow) => expected.get(flow.replace(/(\w+)\/(\d+)$/, '$2/$1')) ?? []));
      return !isAsEvaluated || [...wanted].join() !== (comparison.change(cell) ?? '');
    });
    expect(wrong).toEqual([]);
  });
  fc.assert(agrees, { numRuns: 60 });
});

function isPolicy({ kind }: Manifest): boolean {
  return kind === 'NetworkPolicy';
}

test('pods that only the change tells apart have rows of their own, and what comes or goes says so', () => {
  const before = clusterOf([
    namespace('shop'),
    pod('shop/a', { labels: { app: 'a' } }),
    pod('shop/b', { labels: { app: 'b' } }),
  ]);
  const change = clusterOf([
    pod('shop/c', { labels: { app: 'c' } }),
    policy('shop/b', { podSelector: { matchLabels: { app: 'b' } } }),
  ]);
  const after = applied(before, [...change.pods.values(), ...change.policies.values()]);
  const options = { ports: [{ port: 80, protocol: 'TCP' }] } as const;
  const comparison = new Comparison({ before, after }, options);
  expect(comparison.groups.map(({ pods }) => pods)).toEqual([['shop/a'], ['shop/b'], ['shop/c']]);
  const found = [...changedCells(comparison)].at(-1) ?? [];
  expect(found.map(({ from, to, change: what }) => `${from.pods[0]} ${to.pods[0]} ${what}`)).toEqual([
    'shop/a shop/b closes',
    'shop/a shop/c new',
    'shop/b shop/c new',
    'shop/c shop/a new',
    'shop/c shop/b new',
    'shop/c shop/c new',
  ]);
});
