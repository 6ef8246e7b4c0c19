import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/policy/compile.ts';
import { peerSets } from '../../../src/rules/nftables/peerSets.ts';
import { profileChains } from '../../../src/rules/nftables/profileRules.ts';
import { wantedPolicy } from '../../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

const NAMESPACE = namespace('shop', { team: 'sales' });
const all = { podSelector: {} };
const target = pod('shop/a', { addresses: ['10.0.0.1'], ports: [{ name: 'http', containerPort: 80 }] });

/** The rules of the profiles of one policy, without names of sets, and how many sets it takes. */
function written(spec: Manifest) {
  const { profiles, groups } = wantedPolicy(
    compile(clusterOf([NAMESPACE, target, policy('shop/p', { ...all, ...spec })]), 'node-1'),
  );
  const rules = [...profiles.values()].flatMap(profileChains).flatMap(([, chain]) => chain.rules);
  const names = new Set(rules.flatMap((rule) => /@(\S+)/.exec(rule)?.[1] ?? []));
  const sets = new Set([...groups.values()].flatMap(peerSets).map(({ name }) => name));
  expect(names).toEqual(sets);
  return { rules: rules.map((rule) => rule.replace(/@(peers[46])-\S+/, '@$1')), sets: sets.size };
}

const NETWORKS = { from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] };

describe('what a rule of a policy becomes', () => {
  const peer = [{ podSelector: { matchLabels: { app: 'x' } } }];
  const end = 'return comment "shop/p"';

  test.for<{ readonly what: string; readonly spec: Manifest; readonly rules: readonly string[] }>([
    { what: 'nothing', spec: { ingress: [] }, rules: [] },
    { what: 'everything', spec: { ingress: [{}] }, rules: [end] },
    { what: 'a port', spec: { ingress: [{ ports: [{ port: 53, protocol: 'UDP' }] }] }, rules: [`udp dport 53 ${end}`] },
    { what: 'a named port', spec: { ingress: [{ ports: [{ port: 'http' }] }] }, rules: [`tcp dport 80 ${end}`] },
    { what: 'ports', spec: { ingress: [{ ports: [{ port: 80, endPort: 90 }] }] }, rules: [`tcp dport 80-90 ${end}`] },
    { what: 'a protocol', spec: { ingress: [{ ports: [{ protocol: 'SCTP' }] }] }, rules: [`meta l4proto sctp ${end}`] },
    {
      what: 'pods',
      spec: { ingress: [{ from: peer }] },
      rules: [`ip saddr @peers4 ${end}`, `ip6 saddr @peers6 ${end}`],
    },
    {
      what: 'pods and a port',
      spec: { ingress: [{ from: peer, ports: [{ port: 80 }] }] },
      rules: [`ip saddr @peers4 tcp dport 80 ${end}`, `ip6 saddr @peers6 tcp dport 80 ${end}`],
    },
    {
      what: 'pods to go to, and a named port',
      spec: { policyTypes: ['Egress'], egress: [{ to: [{ podSelector: {} }], ports: [{ port: 'http' }] }] },
      rules: [`ip daddr . tcp dport @peers4 ${end}`, `ip6 daddr . tcp dport @peers6 ${end}`],
    },
    { what: 'a network', spec: { ingress: [NETWORKS] }, rules: [`ip saddr 10.0.0.0/8 ${end}`] },
    {
      what: 'a host',
      spec: { ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.9/32' } }] }] },
      rules: [`ip saddr 10.0.0.9 ${end}`],
    },
    {
      what: 'a host of IPv6',
      spec: { ingress: [{ from: [{ ipBlock: { cidr: 'fd00::9/128' } }] }] },
      rules: [`ip6 saddr fd00::9 ${end}`],
    },
    {
      what: 'a family',
      spec: { ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] },
      rules: [`meta nfproto ipv4 ${end}`],
    },
    {
      what: 'the other family, and a protocol',
      spec: { ingress: [{ from: [{ ipBlock: { cidr: '::/0' } }], ports: [{ protocol: 'UDP' }] }] },
      rules: [`meta nfproto ipv6 meta l4proto udp ${end}`],
    },
  ])('$what', ({ spec, rules }) => {
    expect(written(spec).rules).toEqual([...rules, `goto refuse-${'egress' in spec ? 'egress' : 'ingress'}`]);
  });
});

// What is written, and looked through for each new flow: a change here is a decision.
describe('the rules that a policy costs', () => {
  const peers = (length: number) =>
    Array.from({ length }, (_, index) => ({ podSelector: { matchLabels: { app: `${index}` } } }));
  const blocks = (length: number) =>
    Array.from({ length }, (_, index) => ({ ipBlock: { cidr: `10.${index}.0.0/16` } }));
  const ports = (length: number) => Array.from({ length }, (_, index) => ({ port: 8000 + index }));
  const cost = (spec: Manifest) => {
    const { rules, sets } = written(spec);
    return { rules: rules.length - 1, sets };
  };

  test.for([
    { what: 'nothing allowed', spec: { ingress: [] }, costs: { rules: 0, sets: 0 } },
    { what: 'everything allowed', spec: { ingress: [{}] }, costs: { rules: 1, sets: 0 } },
    { what: 'a peer', spec: { ingress: [{ from: peers(1) }] }, costs: { rules: 2, sets: 2 } },
    {
      what: 'three peers on four ports',
      spec: { ingress: [{ from: peers(3), ports: ports(4) }] },
      costs: { rules: 6, sets: 6 },
    },
    {
      what: 'a range of ports',
      spec: { ingress: [{ ports: [{ port: 8000, endPort: 9000 }] }] },
      costs: { rules: 1, sets: 0 },
    },
    { what: 'a network', spec: { ingress: [{ from: blocks(1) }] }, costs: { rules: 1, sets: 0 } },
    { what: 'a hundred networks', spec: { ingress: [{ from: blocks(100) }] }, costs: { rules: 2, sets: 2 } },
    {
      what: 'two networks with exceptions',
      spec: {
        ingress: [
          {
            from: blocks(2).map(({ ipBlock }) => ({
              ipBlock: { ...ipBlock, except: [ipBlock.cidr.replace('0.0/16', '1.0/24')] },
            })),
          },
        ],
      },
      costs: { rules: 4, sets: 4 },
    },
    {
      what: 'the same rule three times',
      spec: { ingress: Array.from({ length: 3 }, () => ({ from: peers(1), ports: ports(1) })) },
      costs: { rules: 2, sets: 2 },
    },
  ])('$what', ({ spec, costs }) => {
    expect(cost(spec)).toEqual(costs);
  });

  test('ten thousand rules: one lookup of the port, one profile, and every peer one set a family', () => {
    const ingress = Array.from({ length: 10_000 }, (_, index) => ({
      from: [{ podSelector: { matchLabels: { app: `${index % 100}` } } }],
      ports: [{ port: 1 + index }],
    }));
    // Each of the 100 peers has a chain, which ends in a rule of its own.
    expect(cost({ ingress })).toEqual({ rules: 1 + 100 * 3, sets: 200 });
  });
});
