import { describe, expect, test } from 'vitest';
import type { NetworkPolicy } from '../../../src/kube/networkPolicy.ts';
import { reader } from '../../../src/source/api/readObject.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

const readPod = reader('Pod', 'v1');
const readNamespace = reader('Namespace', 'v1');
const readPolicy = reader<NetworkPolicy>('NetworkPolicy', 'networking.k8s.io/v1');

/** An item of a typed list: it has no kind. */
function item({ kind: _kind, apiVersion: _apiVersion, ...rest }: Manifest): Manifest {
  return rest;
}

/** Returns what a policy that cannot be read comes to: whom it selects, and what it isolates. */
function standIn(spec: Manifest): unknown {
  const read = readPolicy(item(policy('shop/bad', spec)));
  if (read?.kind !== 'unusable') return read;
  const { podSelector, ingress, egress } = read.standIn ?? {};
  const labels = Object.fromEntries(podSelector?.matchLabels ?? [['selects', 'nothing']]);
  return { labels, expressions: podSelector?.matchExpressions, ingress, egress };
}

test('an item of a list is read as the object by itself', () => {
  const manifests = [namespace('shop'), pod('shop/a', { addresses: ['10.0.0.1'] }), policy('shop/p', {})] as const;
  const { namespaces, pods, policies } = clusterOf(manifests);
  expect(readNamespace(item(manifests[0]))).toEqual(namespaces.get('shop'));
  expect(readPod(item(manifests[1]))).toEqual(pods.get('shop/a'));
  expect(readPolicy(item(manifests[2]))).toEqual(policies.get('shop/p'));
});

describe('what cannot be read is told of', () => {
  test('a pod is nobody', () => {
    expect(readPod(item(pod('shop/a', { addresses: ['010.0.0.1'] })))).toEqual({
      kind: 'unusable',
      problem: {
        where: 'Pod shop/a',
        line: undefined,
        message:
          'status.podIPs[0].ip: Cannot use "010.0.0.1": expected an IPv4 address without leading zeros, or an IPv6 address',
      },
      standIn: undefined,
    });
  });

  test('a namespace has no labels', () => {
    expect(readNamespace({ metadata: { name: 'shop', labels: { team: 5 } } })).toEqual({
      kind: 'unusable',
      problem: {
        where: 'Namespace shop',
        line: undefined,
        message: 'metadata.labels.team: Cannot use 5: must be a string, write "5"',
      },
      standIn: undefined,
    });
  });

  test('names move no cursor', () => {
    expect(readPod({ metadata: { namespace: 'shop', name: 'a\u001B[2J' } })).toMatchObject({
      problem: { where: 'Pod shop/a\\u{1b}[2J' },
    });
  });

  test.for([[null], [5], ['text'], [[]], [{}]])('metadata of %j is a problem, not a failure', ([metadata]) => {
    for (const read of [readPod, readNamespace, readPolicy])
      expect(read({ metadata })).toMatchObject({ kind: 'unusable', standIn: undefined });
  });
});

describe('a policy that cannot be read closes', () => {
  const podSelector = { matchLabels: { app: 'web' } };
  const bad = [{ unknown: [] }];
  const ours = { labels: { app: 'web' }, expressions: [] };
  const all = { labels: {}, expressions: [] };

  test.for([
    ['what it isolates', { podSelector, policyTypes: ['Ingress'], ingress: bad }, { ...ours, ingress: [] }],
    ['what it isolates', { podSelector, policyTypes: ['Egress'], egress: bad }, { ...ours, egress: [] }],
    [
      'both ways that it names',
      { podSelector, policyTypes: ['Ingress', 'Egress'], egress: bad },
      { ...ours, ingress: [], egress: [] },
    ],
    ['ingress where it names no type and has no egress', { podSelector, ingress: bad }, { ...ours, ingress: [] }],
    ['ingress where its egress is empty', { podSelector, ingress: bad, egress: [] }, { ...ours, ingress: [] }],
    [
      'egress too where it names no type and has egress',
      { podSelector, egress: bad },
      { ...ours, ingress: [], egress: [] },
    ],
    [
      'egress too where its list of types is empty',
      { podSelector, policyTypes: [], egress: [{}, ...bad] },
      { ...ours, ingress: [], egress: [] },
    ],
    [
      'egress too where that is no list',
      { podSelector, policyTypes: null, egress: { to: [] } },
      { ...ours, ingress: [], egress: [] },
    ],
    [
      'both ways where it names a type that nobody knows',
      { podSelector, policyTypes: ['Ingress', 'Forward'] },
      { ...ours, ingress: [], egress: [] },
    ],
    [
      'both ways where its types are no list',
      { podSelector, policyTypes: 'Egress' },
      { ...ours, ingress: [], egress: [] },
    ],
    [
      'all pods both ways where nobody knows which it selects',
      { podSelector: { ...podSelector, matchFields: {} }, policyTypes: ['Ingress'], ingress: [{}] },
      { ...all, ingress: [], egress: [] },
    ],
    [
      'as ever where it has a field that nobody knows',
      { podSelector, policyTypes: ['Ingress'], ingress: [{}], mode: 'audit' },
      { ...ours, ingress: [] },
    ],
    ['all pods where its spec is no object', 5, { ...all, ingress: [] }],
  ] as const)('%s', ([, spec, expected]) => {
    expect(standIn(spec as Manifest)).toEqual({ ingress: undefined, egress: undefined, ...expected });
  });

  test('though its labels cannot be read either', () => {
    const { spec } = policy('shop/bad', { podSelector });
    expect(readPolicy({ metadata: { namespace: 'shop', name: 'bad', labels: 5 }, spec })).toMatchObject({
      standIn: { namespace: 'shop', name: 'bad', ingress: [], egress: undefined },
    });
  });
});
