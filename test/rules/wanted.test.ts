import { describe, expect, test } from 'vitest';
import { compile } from '../../src/policy/compile.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const NAMESPACE = namespace('shop', { team: 'sales' });
const all = { podSelector: {} };
const wantedOf = (manifests: readonly Manifest[]) => wantedPolicy(compile(clusterOf(manifests), 'node-1'));

describe('profiles', () => {
  test('pods with the same answer share one', () => {
    const replicas = Array.from({ length: 100 }, (_, index) =>
      pod(`shop/web-${index}`, { labels: { app: 'web', index: `${index}` }, addresses: [`10.0.0.${index}`] }),
    );
    const { profiles, judgements } = wantedOf([
      NAMESPACE,
      ...replicas,
      policy('shop/p', { ...all, ingress: [{ from: [{ podSelector: {} }] }] }),
    ]);
    expect([profiles.size, judgements.size]).toEqual([1, 100]);
    expect(new Set([...judgements.values()].map(({ ingress }) => JSON.stringify(ingress))).size).toBe(1);
  });

  test('a named port that resolves otherwise makes another', () => {
    const named = (containerPort: number) => ({
      ports: [{ name: 'http', containerPort }],
      addresses: [`10.0.0.${containerPort % 100}`],
    });
    const pods = [
      pod('shop/a', named(8080)),
      pod('shop/b', named(8080)),
      pod('shop/c', named(9090)),
      pod('shop/d', {}),
    ];
    const { profiles, judgements } = wantedOf([
      NAMESPACE,
      ...pods,
      policy('shop/p', { ...all, ingress: [{ ports: [{ port: 'http' }] }] }),
    ]);
    expect(profiles.size).toBe(3);
    const allowed = [...judgements.values()].map(({ ingress }) =>
      ingress.kind === 'profile' ? profiles.get(ingress.chain)?.allows : undefined,
    );
    const port = (number: number) => [
      {
        peers: { kind: 'any' },
        ports: [{ kind: 'range', protocol: 'TCP', from: number, to: number }],
        policies: ['shop/p'],
      },
    ];
    expect(allowed).toEqual([port(8080), port(8080), port(9090), []]);
  });

  test('the same peers and ports make one for each direction', () => {
    const both = { ...all, policyTypes: ['Ingress', 'Egress'], ingress: [], egress: [] };
    const { profiles, judgements } = wantedOf([
      NAMESPACE,
      pod('shop/a', { addresses: ['10.0.0.1'] }),
      policy('shop/p', both),
    ]);
    const { ingress, egress } = judgements.get('shop/a') ?? {};
    expect([profiles.size, ingress?.kind, egress?.kind]).toEqual([2, 'profile', 'profile']);
    expect(ingress).not.toEqual(egress);
  });

  test('neither a pod’s address nor who its peers are is in one: only the groups change', () => {
    const world = (addresses: readonly string[], more: readonly Manifest[] = []) =>
      wantedOf([
        NAMESPACE,
        pod('shop/a', { addresses }),
        ...more,
        policy('shop/p', { ...all, ingress: [{ from: [{ podSelector: {} }] }] }),
      ]);
    const before = world(['10.0.0.1']);
    const after = world([], [pod('shop/b', { addresses: ['10.0.0.2', 'fd00::2'], nodeName: 'node-2' })]);
    expect(after.profiles).toEqual(before.profiles);
    expect([...after.groups.keys()]).toEqual([...before.groups.keys()]);
    const members = [before, after].map(({ groups }) =>
      [...groups.values()].map((group) => (group.kind === 'addresses' ? [...group.members] : [])),
    );
    expect(members).toEqual([[['10.0.0.1']], [['10.0.0.2', 'fd00::2']]]);
  });
});

test('pods that no policy selects are open, both ways', () => {
  const { profiles, groups, judgements } = wantedOf([NAMESPACE, pod('shop/a', { addresses: ['10.0.0.1'] })]);
  expect([profiles.size, groups.size, judgements.get('shop/a')]).toEqual([
    0,
    0,
    { ingress: { kind: 'open' }, egress: { kind: 'open' } },
  ]);
});
