import { describe, expect, test } from 'vitest';
import type { Namespace } from '../../../src/kube/namespace.ts';
import type { NetworkPolicy } from '../../../src/kube/networkPolicy.ts';
import { reader } from '../../../src/source/api/readObject.ts';

const MODE = { 'kube-nwplcy.io/mode': 'Audit', other: 'x' };
const spec = { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] };

describe('an object whose mode is unknown is reported, and in force as one that has none', () => {
  test('a policy, with all its rules', () => {
    const read = reader<NetworkPolicy>('NetworkPolicy', 'networking.k8s.io/v1');
    const good = read({ metadata: { namespace: 'shop', name: 'a' }, spec });
    const found = read({ metadata: { namespace: 'shop', name: 'a', annotations: MODE }, spec });
    expect(found).toMatchObject({ kind: 'unusable', problem: { where: 'NetworkPolicy shop/a' }, standIn: good });
    expect(good).not.toHaveProperty('audit');
  });

  test('a namespace, with all its labels', () => {
    const read = reader<Namespace>('Namespace', 'v1');
    const labels = { team: 'shop' };
    const found = read({ metadata: { name: 'shop', labels, annotations: MODE } });
    expect(found).toMatchObject({ kind: 'unusable', standIn: read({ metadata: { name: 'shop', labels } }) });
  });

  test('but a policy that has more wrong with it closes', () => {
    const read = reader<NetworkPolicy>('NetworkPolicy', 'networking.k8s.io/v1');
    const broken = { podSelector: {}, ingress: [{ ports: [{ port: 0 }] }] };
    const found = read({ metadata: { namespace: 'shop', name: 'a', annotations: MODE }, spec: broken });
    expect(found).toMatchObject({ kind: 'unusable', standIn: { ingress: [] } });
  });
});
