import { expect, describe, test } from 'vitest';
import type { NetworkPolicy, Peer } from '../../src/kube/networkPolicy.ts';
import {
  addressGroup,
  addressPortGroup,
  networkGroup,
  scopeOf,
  type GroupDefinition,
} from '../../src/policy/groupDefinition.ts';
import type { PeerGroup } from '../../src/policy/model.ts';
import { PeerGroups } from '../../src/policy/peerGroups.ts';
import { clusterOf, namespace, pod, policy, type Manifest, type PodFacts } from '../helpers/manifests.ts';

const WORLD = [
  namespace('shop', { team: 'sales' }),
  namespace('lab', { team: 'lab' }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'], ports: [{ name: 'http', containerPort: 80 }] }),
  pod('lab/web', { labels: { app: 'web' }, addresses: ['10.0.1.1'], ports: [{ name: 'http', containerPort: 81 }] }),
  pod('orphan/web', { labels: { app: 'web' }, addresses: ['10.0.2.1'], ports: [{ name: 'http', containerPort: 82 }] }),
];

function world(): PeerGroups {
  const groups = new PeerGroups();
  const { namespaces, pods } = clusterOf(WORLD);
  for (const { name, labels } of namespaces.values()) groups.setNamespace(name, labels);
  for (const [key, one] of pods) groups.setPod(key, one);
  return groups;
}

function decoded(
  key: string,
  from: readonly Manifest[],
): { readonly peers: readonly Peer[]; readonly policy: NetworkPolicy } {
  const found = clusterOf([policy(key, { podSelector: {}, ingress: [{ from }] })]).policies.get(key);
  const peers = found?.ingress?.[0]?.peers;
  if (found === undefined || peers === undefined || peers === 'any') throw new Error('no peers');
  return { peers, policy: found };
}

/** The group of each peer of a policy, and all pods' together. */
function groupsOf(key: string, from: readonly Manifest[]): readonly GroupDefinition[] {
  const { peers, policy: one } = decoded(key, from);
  return peers.map((peer) => (peer.kind === 'pods' ? addressGroup([scopeOf(peer, one)]) : networkGroup([peer])));
}

function union(key: string, from: readonly Manifest[]): GroupDefinition {
  const { peers, policy: one } = decoded(key, from);
  return addressGroup(peers.flatMap((peer) => (peer.kind === 'pods' ? [scopeOf(peer, one)] : [])));
}

function keysOf(...definitions: readonly GroupDefinition[]): readonly string[] {
  return [...new Set(definitions.map(({ key }) => key))];
}

function members(group: PeerGroup | undefined): readonly string[] {
  switch (group?.kind) {
    case 'addresses':
      return [...group.members].toSorted();
    case 'addressPorts':
      return [...group.members].map(({ address, port }) => `${address}:${port}`).toSorted();
    case 'networks':
    case undefined:
      throw new Error('no members');
  }
}

const podSelector = (matchLabels: Manifest, matchExpressions: readonly Manifest[] = []) => ({
  podSelector: { matchLabels, matchExpressions },
});
const HTTP = { kind: 'named', protocol: 'TCP', name: 'http' } as const;

describe('a group is shared by all who say the same', () => {
  test('in another policy and in another order', () => {
    const one = podSelector({ app: 'web', tier: 'x' }, [
      { key: 'a', operator: 'In', values: ['1', '2'] },
      { key: 'b', operator: 'Exists' },
    ]);
    const other = podSelector({ tier: 'x', app: 'web' }, [
      { key: 'b', operator: 'Exists' },
      { key: 'a', operator: 'In', values: ['2', '1'] },
    ]);
    expect(keysOf(...groupsOf('shop/p', [one]), ...groupsOf('shop/q', [other]))).toHaveLength(1);
  });

  test('of several scopes and of several networks too', () => {
    const [a, b] = [podSelector({ app: 'web' }), podSelector({ app: 'db' })];
    expect(keysOf(union('shop/p', [a, b]), union('shop/q', [b, a, a]))).toEqual([
      'addresses shop app=db | shop app=web',
    ]);
    const blocks = decoded('shop/p', [
      { ipBlock: { cidr: '192.0.2.0/24' } },
      { ipBlock: { cidr: '10.0.0.0/8' } },
    ]).peers.filter((peer) => peer.kind === 'ipBlock');
    expect(keysOf(networkGroup(blocks), networkGroup([...blocks, ...blocks].toReversed()))).toEqual([
      'networks 10.0.0.0/8 | 192.0.2.0/24',
    ]);
  });

  test('but not by a policy of another namespace that means its own pods', () => {
    const own = podSelector({ app: 'web' });
    expect(keysOf(...groupsOf('shop/p', [own]), ...groupsOf('lab/p', [own]))).toEqual([
      'addresses shop app=web',
      'addresses lab app=web',
    ]);
  });

  test('with a namespaceSelector a policy of any namespace means the same', () => {
    const everywhere = { namespaceSelector: {}, ...podSelector({ app: 'web' }) };
    expect(keysOf(...groupsOf('shop/p', [everywhere]), ...groupsOf('lab/p', [everywhere]))).toHaveLength(1);
  });

  test('a namespace by name is not one by its labels', () => {
    const from = [
      { podSelector: {} },
      { namespaceSelector: {} },
      { namespaceSelector: { matchLabels: { team: 'sales' } } },
    ];
    expect(keysOf(...groupsOf('shop/p', from))).toHaveLength(3);
  });

  test('an except makes another group', () => {
    const from = [
      { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
      { ipBlock: { cidr: '10.0.0.0/8', except: ['10.2.0.0/16'] } },
    ];
    expect(keysOf(...groupsOf('shop/p', from))).toEqual([
      'networks 10.0.0.0/8 except 10.1.0.0/16',
      'networks 10.0.0.0/8 except 10.2.0.0/16',
    ]);
  });
});

// An agent that comes after finds the sets by these: what changes here makes every set anew.
test('keys do not change', () => {
  const from = [
    podSelector({ app: 'web' }),
    { namespaceSelector: { matchLabels: { team: 'lab' } }, podSelector: {} },
    { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
  ];
  const { peers, policy: one } = decoded('shop/p', from);
  const named = peers.map((peer) => addressPortGroup(peer.kind === 'pods' ? scopeOf(peer, one) : peer, HTTP));
  expect(keysOf(...groupsOf('shop/p', from), ...named, addressPortGroup('all', HTTP))).toEqual([
    'addresses shop app=web',
    'addresses [team=lab] *',
    'networks 10.0.0.0/8 except 10.1.0.0/16',
    'addressPorts TCP http shop app=web',
    'addressPorts TCP http [team=lab] *',
    'addressPorts TCP http 10.0.0.0/8 except 10.1.0.0/16',
    'addressPorts TCP http any',
  ]);
});

test('a namespace without a Namespace object is in no namespaceSelector’s scope, but in its own policies’', () => {
  const groups = world();
  const definitions = [
    ...groupsOf('shop/p', [{ namespaceSelector: {} }]),
    ...groupsOf('orphan/p', [{ podSelector: {} }]),
  ];
  for (const definition of definitions) groups.hold(definition);
  expect([...groups.state().values()].map(members)).toEqual([['10.0.0.1', '10.0.1.1'], ['10.0.2.1']]);
});

test('all pods’ named ports are those of every pod that has one, whatever its namespace', () => {
  const groups = world();
  groups.hold(addressPortGroup('all', HTTP));
  expect([...groups.state().values()].map(members)).toEqual([['10.0.0.1:80', '10.0.1.1:81', '10.0.2.1:82']]);
});

describe('what changes', () => {
  const ALL_WEB = groupsOf('shop/p', [
    { namespaceSelector: { matchLabels: { team: 'sales' } }, ...podSelector({ app: 'web' }) },
  ]);
  const BOTH = union('shop/p', [
    { namespaceSelector: { matchLabels: { team: 'sales' } } },
    podSelector({ app: 'web' }),
  ]);
  const put = (groups: PeerGroups, key: string, facts: PodFacts) =>
    groups.setPod(key, clusterOf([pod(key, facts)]).pods.get(key));
  const web = { labels: { app: 'web' } };

  test.for<{
    readonly event: string;
    readonly happens: (groups: PeerGroups) => void;
    readonly members: readonly string[];
  }>([
    {
      event: 'a pod comes',
      happens: (groups) => put(groups, 'shop/b', { ...web, addresses: ['10.0.0.2'] }),
      members: ['10.0.0.1', '10.0.0.2'],
    },
    { event: 'a pod goes', happens: (groups) => groups.setPod('shop/web', undefined), members: [] },
    {
      event: 'a pod’s labels',
      happens: (groups) => put(groups, 'shop/web', { labels: { app: 'db' }, addresses: ['10.0.0.1'] }),
      members: [],
    },
    {
      event: 'a pod’s address',
      happens: (groups) => put(groups, 'shop/web', { ...web, addresses: ['10.0.0.9', 'fd00::9'] }),
      members: ['10.0.0.9', 'fd00::9'],
    },
    {
      event: 'a pod finishes',
      happens: (groups) => put(groups, 'shop/web', { ...web, addresses: ['10.0.0.1'], phase: 'Failed' }),
      members: [],
    },
    {
      event: 'a pod is made again on the node’s network',
      happens: (groups) => put(groups, 'shop/web', { ...web, addresses: ['192.168.0.1'], hostNetwork: true }),
      members: [],
    },
    {
      event: 'a namespace’s labels',
      happens: (groups) => groups.setNamespace('lab', new Map([['team', 'sales']])),
      members: ['10.0.0.1', '10.0.1.1'],
    },
    {
      event: 'a namespace is labelled otherwise',
      happens: (groups) => groups.setNamespace('shop', new Map([['team', 'lab']])),
      members: [],
    },
    {
      event: 'a namespace goes before its pods',
      happens: (groups) => groups.setNamespace('shop', undefined),
      members: [],
    },
    {
      event: 'a namespace comes after its pods',
      happens: (groups) => groups.setNamespace('orphan', new Map([['team', 'sales']])),
      members: ['10.0.0.1', '10.0.2.1'],
    },
    {
      event: 'of two pods with one address one goes',
      happens: (groups) => {
        put(groups, 'shop/b', { ...web, addresses: ['10.0.0.1'] });
        groups.setPod('shop/web', undefined);
      },
      members: ['10.0.0.1'],
    },
  ])('$event: it is in the members, and in how they came to be', ({ happens, members: wanted }) => {
    const groups = world();
    for (const definition of ALL_WEB) groups.hold(definition);
    const [before] = groups.state().values();
    const was = new Set(members(before));
    happens(groups);
    const [after] = groups.state().values();
    expect(members(after)).toEqual(wanted);
    if (before?.kind !== 'addresses' || after?.kind !== 'addresses') throw new Error('no addresses');
    const { added, removed, version } = after.since ?? { added: [], removed: [], version: after.version };
    expect(version).toBe(before.version);
    expect([...was.difference(new Set(removed)).union(new Set(added))].toSorted()).toEqual(wanted);
  });

  test('a pod in two scopes of a group stays while it is in one', () => {
    const groups = world();
    groups.hold(BOTH);
    expect([...groups.state().values()].map(members)).toEqual([['10.0.0.1']]);
    groups.setNamespace('shop', undefined);
    expect([...groups.state().values()].map(members)).toEqual([['10.0.0.1']]);
    put(groups, 'shop/web', { labels: { app: 'db' }, addresses: ['10.0.0.1'] });
    expect([...groups.state().values()].map(members)).toEqual([[]]);
  });

  test('what means nothing to a group leaves it the same object, and all of them the same map', () => {
    const groups = world();
    for (const definition of ALL_WEB) groups.hold(definition);
    const before = groups.state();
    put(groups, 'shop/web', { ...web, addresses: ['10.0.0.1'], nodeName: 'node-2' });
    put(groups, 'shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.5'] });
    groups.setNamespace(
      'shop',
      new Map([
        ['team', 'sales'],
        ['more', 'x'],
      ]),
    );
    expect(groups.state()).toBe(before);
  });

  test('a group goes with the last who holds it', () => {
    const groups = world();
    const [definition] = ALL_WEB;
    if (definition === undefined) throw new Error('no group');
    groups.hold(definition);
    groups.hold(definition);
    groups.release(definition.key);
    expect(groups.state().size).toBe(1);
    groups.release(definition.key);
    expect(groups.state().size).toBe(0);
    put(groups, 'shop/b', { ...web, addresses: ['10.0.0.2'] });
    groups.hold(definition);
    expect([...groups.state().values()].map(members)).toEqual([['10.0.0.1', '10.0.0.2']]);
  });
});
