import { describe, expect, test } from 'vitest';
import { compile } from '../../src/policy/compile.ts';
import type { Allow, Isolation, PeerGroup } from '../../src/policy/model.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const web = {
  labels: { app: 'web' },
  addresses: ['10.0.0.1', 'fd00::1'],
  ports: [
    { name: 'http', containerPort: 8080 },
    { name: 'http', protocol: 'UDP', containerPort: 8443 },
  ],
} as const;
const db = { labels: { app: 'db' }, addresses: ['10.0.0.2'], ports: [{ name: 'http', containerPort: 9090 }] } as const;
const far = { labels: { app: 'db' }, addresses: ['10.0.1.1'], nodeName: 'node-2' } as const;
const WORLD: readonly Manifest[] = [
  namespace('shop', { team: 'sales' }),
  namespace('ops', { team: 'ops' }),
  pod('shop/web', web),
  pod('shop/db', db),
  pod('shop/far', far),
  pod('ops/prom', { labels: { app: 'prom' }, addresses: ['10.0.0.3'] }),
  pod('shop/done', { labels: { app: 'db' }, addresses: ['10.0.0.4'], phase: 'Succeeded' }),
  pod('shop/host', {
    labels: { app: 'db' },
    addresses: ['192.168.0.1'],
    hostNetwork: true,
    ports: [{ name: 'http', containerPort: 80 }],
  }),
  pod('shop/new', { labels: { app: 'db' } }),
];
const all = { podSelector: {} };
const compiled = (policies: Readonly<Record<string, Manifest>>, more: readonly Manifest[] = []) =>
  compile(
    clusterOf([...WORLD, ...more, ...Object.entries(policies).map(([key, spec]) => policy(key, spec))]),
    'node-1',
  );

function allows(isolation: Isolation | undefined): readonly Allow[] {
  if (isolation?.kind !== 'isolated') throw new Error(`Not isolated: ${JSON.stringify(isolation)}`);
  return isolation.allows;
}

/** What one rule of a policy on shop/web comes to: its peers and ports, and the members of the groups that it names. */
function rule(direction: 'ingress' | 'egress', one: Manifest) {
  const { pods, peerGroups } = compiled({
    'shop/p': { ...all, policyTypes: [direction === 'ingress' ? 'Ingress' : 'Egress'], [direction]: [one] },
  });
  const own = allows(pods.get('shop/web')?.[direction]);
  return {
    peers: own.map(({ peers }) => (peers.kind === 'network' ? peers.cidr.text : peers.kind)),
    ports: own.map(({ ports }) => ports),
    groups: [...peerGroups.values()].map(contentOf),
  };
}

function contentOf(group: PeerGroup): readonly string[] {
  switch (group.kind) {
    case 'addresses':
      return [...group.members];
    case 'networks':
      return group.blocks.map(({ cidr, except }) => [cidr.text, ...except.map(({ text }) => `!${text}`)].join(' '));
    case 'addressPorts':
      return [...group.members].map(({ address, port }) => `${address}:${port}`);
  }
}

const ANY = { kind: 'any' } as const;
const tcp = (from: number, to = from) => ({ kind: 'range', protocol: 'TCP', from, to });

describe('the pods of a node', () => {
  test('are its own that have a network of their own', () => {
    expect([...compiled({}).pods.keys()]).toEqual(['shop/web', 'shop/db', 'ops/prom', 'shop/done', 'shop/new']);
  });

  test('are open both ways where no policy selects them', () => {
    const { pods, peerGroups } = compiled({ 'shop/p': { podSelector: { matchLabels: { app: 'db' } } } });
    expect([pods.get('shop/web'), pods.get('ops/prom'), peerGroups.size]).toEqual([
      { ingress: { kind: 'open' }, egress: { kind: 'open' } },
      { ingress: { kind: 'open' }, egress: { kind: 'open' } },
      0,
    ]);
    expect(pods.get('shop/db')).toEqual({ ingress: { kind: 'isolated', allows: [] }, egress: { kind: 'open' } });
  });

  test('are isolated in each direction by its own policies, whose rules add up', () => {
    const { pods } = compiled({
      'shop/a': { ...all, ingress: [{ ports: [{ port: 80 }] }] },
      'shop/b': { podSelector: { matchLabels: { app: 'web' } }, ingress: [{ ports: [{ port: 90 }] }], egress: [{}] },
      'shop/c': { ...all, policyTypes: ['Egress'], egress: [] },
    });
    expect(pods.get('shop/web')).toEqual({
      ingress: {
        kind: 'isolated',
        allows: [{ peers: ANY, ports: [tcp(80), tcp(90)], policies: ['shop/a', 'shop/b'] }],
      },
      egress: { kind: 'isolated', allows: [{ peers: ANY, ports: [ANY], policies: ['shop/b'] }] },
    });
    expect(pods.get('shop/db')?.egress).toEqual({ kind: 'isolated', allows: [] });
  });

  test('of another node are compiled there', () => {
    const cluster = clusterOf([...WORLD, policy('shop/p', all)]);
    expect(compile(cluster, 'node-2').pods).toEqual(
      new Map([['shop/far', { ingress: { kind: 'isolated', allows: [] }, egress: { kind: 'open' } }]]),
    );
    expect(compile(cluster, 'nowhere').pods.size).toBe(0);
  });
});

describe('empty and missing are not the same', () => {
  test.for([
    { rule: 'no from: everybody', one: {}, peers: ['any'], groups: [] },
    { rule: 'an empty from: everybody', one: { from: [] }, peers: ['any'], groups: [] },
    {
      rule: 'an empty podSelector: all pods of the policy’s namespace that have an address',
      one: { from: [{ podSelector: {} }] },
      peers: ['group'],
      groups: [['10.0.0.1', 'fd00::1', '10.0.0.2', '10.0.1.1']],
    },
    {
      rule: 'an empty namespaceSelector: all pods of all namespaces',
      one: { from: [{ namespaceSelector: {} }] },
      peers: ['group'],
      groups: [['10.0.0.1', 'fd00::1', '10.0.0.2', '10.0.1.1', '10.0.0.3']],
    },
    {
      rule: 'a podSelector that nobody matches: nobody',
      one: { from: [{ podSelector: { matchLabels: { app: 'none' } } }] },
      peers: ['group'],
      groups: [[]],
    },
    {
      rule: 'both selectors of one element must hold',
      one: {
        from: [
          { namespaceSelector: { matchLabels: { team: 'sales' } }, podSelector: { matchLabels: { app: 'prom' } } },
        ],
      },
      peers: ['group'],
      groups: [[]],
    },
    {
      rule: 'of two elements either',
      one: {
        from: [
          { namespaceSelector: { matchLabels: { team: 'ops' } } },
          { podSelector: { matchLabels: { app: 'web' } } },
        ],
      },
      peers: ['group', 'group'],
      groups: [['10.0.0.1', 'fd00::1'], ['10.0.0.3']],
    },
  ])('$rule', ({ one, peers, groups }) => {
    expect(rule('ingress', one)).toEqual({ peers, ports: peers.map(() => [ANY]), groups });
  });

  test('no rule list: nobody; an empty rule: everybody', () => {
    const ingress = (spec: Manifest) =>
      allows(compiled({ 'shop/p': { ...all, ...spec } }).pods.get('shop/web')?.ingress).length;
    expect([ingress({}), ingress({ ingress: [] }), ingress({ ingress: [{}] })]).toEqual([0, 0, 1]);
  });
});

describe('ports', () => {
  test.for([
    { rule: 'none: every protocol', ports: [], expected: [ANY] },
    { rule: 'a number is TCP', ports: [{ port: 80 }], expected: [tcp(80)] },
    { rule: 'a range', ports: [{ port: 80, endPort: 90 }], expected: [tcp(80, 90)] },
    {
      rule: 'a protocol alone is all of its ports',
      ports: [{ protocol: 'SCTP' }],
      expected: [{ kind: 'range', protocol: 'SCTP', from: 0, to: 65_535 }],
    },
    {
      rule: 'several together, in order',
      ports: [{ port: 53, protocol: 'UDP' }, { port: 443 }, { port: 80 }],
      expected: [tcp(80), tcp(443), { kind: 'range', protocol: 'UDP', from: 53, to: 53 }],
    },
    { rule: 'a name is the selected pod’s own', ports: [{ port: 'http' }], expected: [tcp(8080)] },
    {
      rule: 'a name counts for its protocol',
      ports: [{ port: 'http', protocol: 'UDP' }],
      expected: [{ kind: 'range', protocol: 'UDP', from: 8443, to: 8443 }],
    },
    { rule: 'a name that the pod has not is nothing', ports: [{ port: 'none' }], expected: [] },
    { rule: 'a name with another protocol is nothing', ports: [{ port: 'http', protocol: 'SCTP' }], expected: [] },
    {
      rule: 'a name that the pod has not takes nothing from the others',
      ports: [{ port: 'none' }, { port: 80 }],
      expected: [tcp(80)],
    },
  ])('of an ingress rule: $rule', ({ ports, expected }) => {
    const found = expected.length === 0 ? { peers: [], ports: [] } : { peers: ['any'], ports: [expected] };
    expect(rule('ingress', { ports })).toEqual({ ...found, groups: [] });
  });

  test('a rule whose ports come to nothing names no group either', () => {
    expect(rule('ingress', { from: [{ podSelector: {} }], ports: [{ port: 'none' }] })).toEqual({
      peers: [],
      ports: [],
      groups: [],
    });
  });

  const inGroup = { kind: 'inGroup', protocol: 'TCP' };
  test.for([
    {
      rule: 'of the peers',
      one: { to: [{ podSelector: {} }], ports: [{ port: 'http' }] },
      groups: [['10.0.0.1:8080', 'fd00::1:8080', '10.0.0.2:9090']],
    },
    {
      rule: 'of everybody',
      one: { ports: [{ port: 'http' }] },
      groups: [['10.0.0.1:8080', 'fd00::1:8080', '10.0.0.2:9090']],
    },
    {
      rule: 'of the pods in a network',
      one: { to: [{ ipBlock: { cidr: '10.0.0.0/24', except: ['10.0.0.2/32'] } }], ports: [{ port: 'http' }] },
      groups: [['10.0.0.1:8080']],
    },
    { rule: 'of nobody', one: { to: [{ podSelector: {} }], ports: [{ port: 'none' }] }, groups: [[]] },
  ])('named ports of an egress rule are those $rule', ({ one, groups }) => {
    expect(rule('egress', one)).toEqual({ peers: ['group'], ports: [[inGroup]], groups });
  });

  test('named and numbered ports of one egress rule', () => {
    expect(
      rule('egress', { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports: [{ port: 'http' }, { port: 80 }] }),
    ).toEqual({ peers: ['192.0.2.0/24', 'group'], ports: [[tcp(80)], [inGroup]], groups: [[]] });
  });
});

describe('networks', () => {
  const block = (cidr: string, ...except: readonly string[]) => ({ ipBlock: { cidr, except } });

  test.for([
    { rule: 'one is matched as it stands', from: [block('10.0.0.0/8')], peers: ['10.0.0.0/8'], groups: [] },
    {
      rule: 'several share a set',
      from: [block('10.0.0.0/8'), block('2001:db8::/32')],
      peers: ['group'],
      groups: [['10.0.0.0/8', '2001:db8::/32']],
    },
    {
      rule: 'an except cuts its own network only',
      from: [block('10.0.0.0/8', '10.1.0.0/16'), block('10.1.0.0/16')],
      peers: ['10.1.0.0/16', 'group'],
      groups: [['10.0.0.0/8 !10.1.0.0/16']],
    },
    {
      rule: 'two with exceptions are two sets',
      from: [block('10.0.0.0/8', '10.1.0.0/16'), block('10.1.0.0/16', '10.1.1.0/24')],
      peers: ['group', 'group'],
      groups: [['10.0.0.0/8 !10.1.0.0/16'], ['10.1.0.0/16 !10.1.1.0/24']],
    },
    {
      rule: 'of more than four with exceptions all share a set, which keeps whose each exception is',
      from: [block('192.0.2.0/24'), ...[1, 2, 3, 4, 5].map((n) => block(`10.${n}.0.0/16`, `10.${n}.1.0/24`))],
      peers: ['group'],
      groups: [[...[1, 2, 3, 4, 5].map((n) => `10.${n}.0.0/16 !10.${n}.1.0/24`), '192.0.2.0/24']],
    },
  ])('$rule', ({ from, peers, groups }) => {
    expect(rule('ingress', { from })).toEqual({ peers, ports: peers.map(() => [ANY]), groups });
  });
});

// Policies by the thousand rules and pods by the hundred: what is compiled grows with the answers that differ, not with the pods that they are for.
test('ten thousand rules for a hundred pods are worked out once, and name each peer once', () => {
  const pods = Array.from({ length: 100 }, (_, index) =>
    pod(`big/p-${index}`, { labels: { app: `${index}` }, addresses: [`10.1.0.${index}`] }),
  );
  const ingress = Array.from({ length: 10_000 }, (_, index) => ({
    from: [{ podSelector: { matchLabels: { app: `${index % 100}` } } }],
    ports: [{ port: 1 + index }],
  }));
  const { pods: own, peerGroups } = compiled({ 'big/p': { ...all, ingress } }, [namespace('big'), ...pods]);
  expect([...peerGroups.values()].map((group) => contentOf(group).length)).toEqual(pods.map(() => 1));
  expect(allows(own.get('big/p-7')?.ingress).map(({ ports }) => ports.length)).toEqual(pods.map(() => 100));
  expect(
    new Set([...own].filter(([key]) => key.startsWith('big/')).map(([, { ingress: isolation }]) => isolation)).size,
  ).toBe(1);
});
