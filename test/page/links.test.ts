import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { columnsOf, NO_FILTER } from '../../src/page/axes.ts';
import { arcsOf, curve, spotsOf } from '../../src/page/circle.ts';
import { Comparison } from '../../src/page/comparison.ts';
import { leavesOf, linksOf } from '../../src/page/links.ts';
import { matrix } from '../../src/policy/matrix.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { clusterOf, pod, policy } from '../helpers/manifests.ts';

const OPTIONS = { ports: [{ port: 80, protocol: 'TCP' }] } as const;

test('a namespace has a link to another when any pod of it reaches any pod there', () => {
  const agrees = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    const comparison = new Comparison({ before: cluster }, OPTIONS);
    const { groups } = comparison;
    const leaves = leavesOf(groups, { most: 0 });
    const question = { leaves, rows: groups, columns: columnsOf(groups, NO_FILTER), when: 'before', cluster } as const;
    const links = [...linksOf(comparison, question)].at(-1) ?? [];
    const found = links.map(({ from, to }) => `${leaves[from]?.name} ${leaves[to]?.name}`);
    const open = [...matrix(cluster, OPTIONS).cells()].filter(({ verdict }) => verdict === 'allowed');
    const pairs = open.map(({ from, to }) => [from, to].map((key) => key.slice(0, key.indexOf('/'))).join(' '));
    // A pod always reaches itself: that is no link where the namespace has other pods.
    const others = new Set(pairs.filter((pair) => new Set(pair.split(' ')).size > 1));
    expect(found.filter((pair) => new Set(pair.split(' ')).size > 1).toSorted()).toEqual([...others].toSorted());
  });
  fc.assert(agrees, { numRuns: 100 });
});

test('a link says its ports, and whether a policy has a say', () => {
  const cluster = clusterOf([
    pod('shop/web', { labels: { app: 'web' }, ports: [{ name: 'http', containerPort: 80 }] }),
    pod('shop/db', { labels: { app: 'db' }, ports: [{ name: 'pg', containerPort: 5432 }] }),
    policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ ports: [{ port: 5432 }] }] }),
  ]);
  const comparison = new Comparison({ before: cluster }, {});
  const { groups } = comparison;
  const leaves = leavesOf(groups, { most: 10 });
  expect(leaves.map(({ name }) => name)).toEqual(['shop/db', 'shop/web']);
  const columns = columnsOf(groups, NO_FILTER);
  const links = [...linksOf(comparison, { leaves, rows: groups, columns, when: 'before', cluster })].at(-1) ?? [];
  expect(links.filter(({ from, to }) => from !== to)).toEqual([
    { from: 0, to: 1, ports: ['80/TCP'], isRuled: false, change: undefined },
    { from: 1, to: 0, ports: ['5432/TCP'], isRuled: true, change: undefined },
  ]);
});

test('leaves stand around the circle, each in its own place, and every path is drawn with numbers', () => {
  const sections = ['a', 'a', 'b', 'c', 'c', 'c'];
  const spots = spotsOf(sections, 100);
  expect(new Set(spots.map(({ x, y }) => `${x.toFixed(3)} ${y.toFixed(3)}`)).size).toBe(6);
  for (const { x, y } of spots) expect(Math.hypot(x, y)).toBeCloseTo(100);
  expect(arcsOf(sections, 100).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  const [first, second] = spots;
  const paths = [
    ...arcsOf(sections, 100).map(({ path }) => path),
    ...(first && second ? [curve(first, second), curve(first, first)] : []),
  ];
  expect(paths.filter((path) => /NaN|Infinity|undefined/.test(path))).toEqual([]);
  expect(spotsOf([], 100)).toEqual([]);
});
