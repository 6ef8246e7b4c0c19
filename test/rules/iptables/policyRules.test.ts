import { describe, expect, test } from 'vitest';
import { IP_FAMILIES } from '../../../src/net/family.ts';
import { compile } from '../../../src/policy/compile.ts';
import { addressSets } from '../../../src/rules/iptables/addressSet.ts';
import { profileChains } from '../../../src/rules/iptables/profileChain.ts';
import { wantedPolicy } from '../../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

const NAMESPACE = namespace('shop', { team: 'sales' });
const all = { podSelector: {} };

/** The rules of each profile by family, and the sets by name. */
function writtenOf(manifests: readonly Manifest[]) {
  const { profiles, groups } = wantedPolicy(compile(clusterOf(manifests), 'node-1'));
  const sets = [...groups.values()].flatMap(addressSets);
  return {
    profiles: [...profiles.values()].map((one) => ({
      ipv4: profileChains(one, 'ipv4').flatMap(({ rules }) => rules),
      ipv6: profileChains(one, 'ipv6').flatMap(({ rules }) => rules),
    })),
    sets: new Map(sets.map((set) => [set.name, set])),
  };
}

test('every set that a rule names is there, in the rule’s family and of the shape that the rule asks', () => {
  const manifests = [
    NAMESPACE,
    pod('shop/a', { labels: { app: 'a' }, addresses: ['10.0.0.1'], ports: [{ name: 'http', containerPort: 80 }] }),
    policy('shop/p', {
      ...all,
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ podSelector: {} }, { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }],
      egress: [
        {
          to: [
            { namespaceSelector: {} },
            { ipBlock: { cidr: '192.0.2.0/24' } },
            { ipBlock: { cidr: '2001:db8::/32' } },
          ],
          ports: [{ port: 'http' }, { port: 53, protocol: 'UDP' }],
        },
      ],
    }),
  ];
  const { profiles, sets } = writtenOf(manifests);
  const uses = profiles.flatMap((rules) =>
    IP_FAMILIES.flatMap((family) =>
      rules[family].flatMap((rule) =>
        [...rule.matchAll(/--match-set (\S+) (\S+)/g)].map(([, name = '', flags = '']) => ({
          family,
          name,
          dimensions: flags.split(',').length,
        })),
      ),
    ),
  );
  expect(uses.length).toBeGreaterThan(8);
  const shapes = new Set(
    uses.map(
      ({ family, name, dimensions }) => `${family === sets.get(name)?.family} ${dimensions} ${sets.get(name)?.type}`,
    ),
  );
  expect(shapes).toEqual(new Set(['true 1 hash:ip', 'true 1 hash:net', 'true 2 hash:ip,port']));
  expect(new Set(uses.map(({ name }) => name))).toEqual(new Set(sets.keys()));
});

// What is written, and looked through for each new flow: a change here is a decision.
describe('the rules that a policy costs', () => {
  const target = pod('shop/a', { addresses: ['10.0.0.1'] });
  const count = (spec: Manifest) => {
    const { profiles, sets } = writtenOf([NAMESPACE, target, policy('shop/p', { ...all, ...spec })]);
    const [one] = profiles;
    return { ipv4: (one?.ipv4.length ?? 0) - 1, ipv6: (one?.ipv6.length ?? 0) - 1, sets: sets.size };
  };
  const peers = (length: number) =>
    Array.from({ length }, (_, index) => ({ podSelector: { matchLabels: { app: `${index}` } } }));
  const blocks = (length: number) =>
    Array.from({ length }, (_, index) => ({ ipBlock: { cidr: `10.${index}.0.0/16` } }));
  const ports = (length: number) => Array.from({ length }, (_, index) => ({ port: 8000 + index }));

  test.for([
    { what: 'nothing allowed', spec: { ingress: [] }, cost: { ipv4: 0, ipv6: 0, sets: 0 } },
    { what: 'everything allowed', spec: { ingress: [{}] }, cost: { ipv4: 1, ipv6: 1, sets: 0 } },
    { what: 'a peer', spec: { ingress: [{ from: peers(1) }] }, cost: { ipv4: 1, ipv6: 1, sets: 2 } },
    { what: 'three peers', spec: { ingress: [{ from: peers(3) }] }, cost: { ipv4: 3, ipv6: 3, sets: 6 } },
    {
      what: 'three peers on four ports',
      spec: { ingress: [{ from: peers(3), ports: ports(4) }] },
      cost: { ipv4: 3, ipv6: 3, sets: 6 },
    },
    {
      what: 'a range of ports',
      spec: { ingress: [{ ports: [{ port: 8000, endPort: 9000 }] }] },
      cost: { ipv4: 1, ipv6: 1, sets: 0 },
    },
    { what: 'a network', spec: { ingress: [{ from: blocks(1) }] }, cost: { ipv4: 1, ipv6: 0, sets: 0 } },
    { what: 'a hundred networks', spec: { ingress: [{ from: blocks(100) }] }, cost: { ipv4: 1, ipv6: 1, sets: 2 } },
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
      cost: { ipv4: 2, ipv6: 2, sets: 4 },
    },
    {
      what: 'the same rule three times',
      spec: { ingress: Array.from({ length: 3 }, () => ({ from: peers(1), ports: ports(1) })) },
      cost: { ipv4: 1, ipv6: 1, sets: 2 },
    },
  ])('$what', ({ spec, cost }) => {
    expect(count(spec)).toEqual(cost);
  });

  test('ten thousand rules: one profile, every peer one set a family, and a search by port whose steps are short', () => {
    const ingress = Array.from({ length: 10_000 }, (_, index) => ({
      from: [{ podSelector: { matchLabels: { app: `${index % 100}` } } }],
      ports: [{ port: 1 + index }],
    }));
    // Two rules for each of the 100 peers; one for each port, then for 8 of those at most, and so on, up to 3 that lead in. Each chain ends in one.
    const search = 10_000 + 2 * 1250 + 2 * 157 + 2 * 20 + 2 * 3;
    expect(count({ ingress })).toEqual({ ipv4: 200 + search, ipv6: 200 + search, sets: 200 });
  });
});
