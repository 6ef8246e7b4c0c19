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
    const chains = [...judgements.values()].map(({ ingress }) =>
      ingress.kind === 'profile' ? profiles.get(ingress.chain)?.rules.ipv4 : undefined,
    );
    expect(chains).toEqual([
      ['-p tcp -m tcp --dport 8080 -m comment --comment "shop/p" -j RETURN', '-g NWPLCY-REJECT'],
      ['-p tcp -m tcp --dport 8080 -m comment --comment "shop/p" -j RETURN', '-g NWPLCY-REJECT'],
      ['-p tcp -m tcp --dport 9090 -m comment --comment "shop/p" -j RETURN', '-g NWPLCY-REJECT'],
      ['-g NWPLCY-REJECT'],
    ]);
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

  test('neither a pod’s address nor who its peers are is in one: only the sets change', () => {
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
    expect([...after.sets.keys()]).toEqual([...before.sets.keys()]);
    expect([before, after].map(({ sets }) => [...sets.values()].map(({ members }) => [...members]))).toEqual([
      [['10.0.0.1'], []],
      [['10.0.0.2'], ['fd00::2']],
    ]);
  });
});

test('pods that no policy selects are open, both ways', () => {
  const { profiles, sets, judgements } = wantedOf([NAMESPACE, pod('shop/a', { addresses: ['10.0.0.1'] })]);
  expect([profiles.size, sets.size, judgements.get('shop/a')]).toEqual([
    0,
    0,
    { ingress: { kind: 'open' }, egress: { kind: 'open' } },
  ]);
});

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
  const { profiles, sets } = wantedOf(manifests);
  const uses = [...profiles.values()].flatMap(({ rules }) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) =>
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
    const { profiles, sets } = wantedOf([NAMESPACE, target, policy('shop/p', { ...all, ...spec })]);
    const [one] = profiles.values();
    return { ipv4: (one?.rules.ipv4.length ?? 0) - 1, ipv6: (one?.rules.ipv6.length ?? 0) - 1, sets: sets.size };
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
      cost: { ipv4: 12, ipv6: 12, sets: 6 },
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

  test('ten thousand rules: as many rules, one profile, and every peer one set a family', () => {
    const ingress = Array.from({ length: 10_000 }, (_, index) => ({
      from: [{ podSelector: { matchLabels: { app: `${index % 100}` } } }],
      ports: [{ port: 1 + index }],
    }));
    expect(count({ ingress })).toEqual({ ipv4: 10_000, ipv6: 10_000, sets: 200 });
  });
});
