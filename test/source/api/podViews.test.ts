import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pod } from '../../../src/kube/pod.ts';
import { compile } from '../../../src/policy/compile.ts';
import { podDemand } from '../../../src/policy/podDemand.ts';
import { podViews, type PodView } from '../../../src/source/api/podViews.ts';
import { labelSelectorSelects } from '../../helpers/apiSelectors.ts';
import { clusterManifests } from '../../helpers/arbitraries.ts';
import { clusterOf, namespace, pod, policy, type LabelsManifest, type Manifest } from '../../helpers/manifests.ts';
import { plainRules } from '../../helpers/plainRules.ts';

const ALL: readonly PodView[] = [{ namespace: undefined, labelSelector: '' }];

/** Returns what a node watches that has one pod, `shop/own`, and these policies, which select it. */
function viewsOf(
  peers: readonly Manifest[],
  namespaces: readonly Manifest[] = [namespace('shop')],
): readonly PodView[] {
  const spec = { podSelector: {}, ingress: [{ from: peers }] };
  return viewsIn([...namespaces, pod('shop/own', {}), policy('shop/p', spec)]);
}

function viewsIn(manifests: readonly Manifest[]): readonly PodView[] {
  const { policies, pods, namespaces } = clusterOf(manifests);
  const own = [...pods.values()].filter(({ nodeName }) => nodeName === 'node-1');
  return podViews(podDemand(policies.values(), own), [...namespaces.values()]);
}

/** Returns `NAMESPACE?SELECTOR` of each, sorted. */
function texts(views: readonly PodView[]): readonly string[] {
  return views.map((view) => `${view.namespace ?? '*'}?${view.labelSelector}`).sort();
}

const labelled = (matchLabels: LabelsManifest) => ({ podSelector: { matchLabels } });

describe('of one namespace', () => {
  test('all pods', () => {
    expect(texts(viewsOf([{ podSelector: {} }]))).toEqual(['shop?']);
    expect(texts(viewsOf([{ podSelector: {} }, labelled({ app: 'x' })]))).toEqual(['shop?']);
  });

  test('those that one selector selects', () => {
    const matchExpressions = [
      { key: 'tier', operator: 'In', values: ['b', 'a'] },
      { key: 'env', operator: 'NotIn', values: ['test'] },
      { key: 'canary', operator: 'DoesNotExist' },
      { key: 'kubernetes.io/name', operator: 'Exists' },
    ];
    expect(texts(viewsOf([{ podSelector: { matchLabels: { app: 'x', empty: '' }, matchExpressions } }]))).toEqual([
      'shop?app=x,empty=,!canary,env notin (test),kubernetes.io/name,tier in (a,b)',
    ]);
  });

  test('those that have one of several values of one label', () => {
    const expression = { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['z', 'x'] }] } };
    expect(texts(viewsOf([labelled({ app: 'x' }), expression, labelled({ app: '' })]))).toEqual(['shop?app in (,x,z)']);
  });

  test('all, where several selectors cannot be told as one', () => {
    expect(texts(viewsOf([labelled({ app: 'x' }), labelled({ tier: 'x' })]))).toEqual(['shop?']);
    const not = { podSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['x'] }] } };
    expect(texts(viewsOf([labelled({ app: 'x' }), not]))).toEqual(['shop?']);
  });

  test('all, where a selector is longer than a proxy may take', () => {
    const values = Array.from({ length: 100 }, (_, index) => `${'x'.repeat(40)}${index}`);
    const selector = { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values }] } };
    expect(texts(viewsOf([selector]))).toEqual(['shop?']);
  });
});

describe('of several namespaces', () => {
  const teams = (count: number) =>
    Array.from({ length: count }, (_, index) => namespace(`ns-${index}`, { team: `t${index % 4}` }));
  const ofTeam = (team: string, podLabels?: LabelsManifest) => ({
    namespaceSelector: { matchLabels: { team } },
    ...(podLabels !== undefined && { podSelector: { matchLabels: podLabels } }),
  });

  test('one by one', () => {
    expect(texts(viewsOf([ofTeam('t1', { app: 'x' }), { podSelector: {} }], teams(12)))).toEqual([
      'ns-1?app=x',
      'ns-5?app=x',
      'ns-9?app=x',
      'shop?',
    ]);
  });

  test('in one, where most namespaces are meant', () => {
    const anywhere = { namespaceSelector: {}, podSelector: { matchLabels: { app: 'x' } } };
    expect(texts(viewsOf([anywhere, { podSelector: {} }], teams(12)))).toEqual(['*?app=x', 'shop?']);
    expect(viewsOf([{ namespaceSelector: {} }], teams(12))).toEqual(ALL);
    expect(texts(viewsOf([{ namespaceSelector: {} }], teams(2)))).toEqual(['ns-0?', 'ns-1?']);
  });

  test('in as few as 128: first those with a selector in one', () => {
    const views = viewsOf([ofTeam('t1', { app: 'x' }), ofTeam('t2')], teams(400));
    expect(views).toHaveLength(101);
    expect(views).toContainEqual({ namespace: undefined, labelSelector: 'app=x' });
    expect(viewsOf([ofTeam('t1'), ofTeam('t2')], teams(400))).toEqual(ALL);
    expect(viewsOf([ofTeam('t1')], teams(400))).toHaveLength(100);
  });

  test('but not in those that are only named by a selector which no Namespace matches', () => {
    expect(viewsOf([ofTeam('nobody')], teams(12))).toEqual([]);
  });
});

test('with what they show, rules are what they are with all pods', { timeout: 30_000 }, () => {
  const agrees = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    const views = viewsIn(manifests);
    const isKnown = (one: Pod) => one.nodeName === 'node-1' || views.some((view) => isInView(one, view));
    const known = { ...cluster, pods: new Map([...cluster.pods].filter(([, one]) => isKnown(one))) };
    expect(plainRules(compile(known, 'node-1'))).toEqual(plainRules(compile(cluster, 'node-1')));
  });
  fc.assert(agrees, { numRuns: 300 });
});

function isInView({ namespace: of, labels }: Pod, view: PodView): boolean {
  const isHere = view.namespace === undefined || view.namespace === of;
  return isHere && labelSelectorSelects(view.labelSelector, Object.fromEntries(labels));
}
