import { expect, test } from 'vitest';
import type { AttachedPod } from '../../../src/rules/pod.ts';
import { wantedChains } from '../../../src/rules/iptables/wantedChains.ts';
import { podChainNames } from '../../../src/rules/iptables/podRestore.ts';
import { profile } from '../../../src/rules/profile.ts';

const web: AttachedPod = {
  hooks: {
    containerId: 'c',
    ifName: 'eth0',
    namespace: 'shop',
    name: 'web',
    addresses: ['10.0.0.1'],
    hostInterface: 'veth1',
    bridged: true,
  },
  judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } },
};
const names = podChainNames(web.hooks);

function shape(pods: readonly AttachedPod[], family: 'ipv4' | 'ipv6') {
  const { podChains, hooks, pending } = wantedChains(pods, { family, profiles: new Map() });
  return {
    chains: [...podChains].map(([name, rules]) => [name, rules.at(-1)]),
    hooks: Object.values(hooks).map((rules) => rules.length),
    pending: [...pending],
  };
}

test('an attached pod is wanted in both families, in the one that it has no address in only to be refused', () => {
  expect(shape([web], 'ipv4')).toEqual({
    chains: [
      [names[0], '-j RETURN'],
      [names[1], '-j DROP'],
    ],
    hooks: [1, 1, 1],
    pending: [],
  });
  expect(shape([web], 'ipv6')).toEqual({ chains: [[names[1], '-j DROP']], hooks: [1, 0, 0], pending: [] });
});

test('a pod whose ADD is under way is left to it in its families, and refused in the other', () => {
  const underWay = { ...web, judgements: undefined };
  expect(shape([underWay], 'ipv4')).toEqual({ chains: [], hooks: [0, 0, 0], pending: names });
  expect(shape([underWay], 'ipv6')).toEqual({ chains: [[names[1], '-j DROP']], hooks: [1, 0, 0], pending: [] });
});

test('a pod without an address is wanted nowhere but to be refused', () => {
  const bare = { ...web, hooks: { ...web.hooks, addresses: [] } };
  for (const judgements of [bare.judgements, undefined]) {
    expect(shape([{ ...bare, judgements }], 'ipv4')).toEqual({
      chains: [[names[1], '-j DROP']],
      hooks: [1, 0, 0],
      pending: [],
    });
  }
});

test('profiles are wanted in each family with its rules, whether or not a pod is judged by them', () => {
  const allow = {
    peers: { kind: 'network', cidr: { text: '192.0.2.0/24', family: 'ipv4' } },
    ports: [{ kind: 'any' }],
    policies: ['shop/p'],
  } as const;
  const one = profile([allow], 'ingress');
  const profiles = new Map([[one.name, one]]);
  expect((['ipv4', 'ipv6'] as const).map((family) => wantedChains([], { family, profiles }).profiles)).toEqual([
    new Map([[one.name, ['-s 192.0.2.0/24 -m comment --comment "shop/p" -j RETURN', '-g NWPLCY-REJECT-INGRESS']]]),
    new Map([[one.name, ['-g NWPLCY-REJECT-INGRESS']]]),
  ]);
});
