import { expect, test } from 'vitest';
import { applied } from '../../src/policy/applied.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const before = clusterOf([
  namespace('shop', { team: 'a' }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'], nodeName: 'node-2' }),
  policy('shop/deny', { podSelector: {} }),
  policy('shop/kept', { podSelector: {} }),
]);

function after(...manifests: Parameters<typeof clusterOf>[0]) {
  const { namespaces, pods, policies } = clusterOf(manifests);
  return applied(before, [...namespaces.values(), ...pods.values(), ...policies.values()]);
}

test('an object takes the place of the one of its kind and name, and the others stay', () => {
  const cluster = after(namespace('shop'), policy('shop/deny', { podSelector: {}, ingress: [{}] }));
  expect(cluster.namespaces.get('shop')?.labels.has('team')).toBe(false);
  expect(cluster.policies.get('shop/deny')?.ingress).toEqual([{ peers: 'any', ports: 'any' }]);
  expect(cluster.policies.get('shop/kept')).toBe(before.policies.get('shop/kept'));
  expect(cluster.pods).toEqual(before.pods);
});

test('a pod that is applied keeps the node and the addresses that it has', () => {
  const pods = after(pod('shop/web', { labels: { app: 'new' }, nodeName: '' })).pods;
  expect(pods.get('shop/web')).toMatchObject({
    nodeName: 'node-2',
    addresses: ['10.0.0.1'],
    labels: new Map([['app', 'new']]),
  });
});
