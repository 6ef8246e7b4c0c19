import { describe, expect, test } from 'vitest';
import type { NetworkPolicy, Peer } from '../../src/kube/networkPolicy.ts';
import { PeerGroups } from '../../src/policy/peerGroups.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const WORLD = [
  namespace('shop', { team: 'sales' }),
  namespace('lab', { team: 'lab' }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'], ports: [{ name: 'http', containerPort: 80 }] }),
  pod('lab/web', { labels: { app: 'web' }, addresses: ['10.0.1.1'], ports: [{ name: 'http', containerPort: 81 }] }),
  pod('orphan/web', { labels: { app: 'web' }, addresses: ['10.0.2.1'], ports: [{ name: 'http', containerPort: 82 }] }),
];

function decoded(
  key: string,
  from: readonly Manifest[],
): { readonly peers: readonly Peer[]; readonly policy: NetworkPolicy } {
  const found = clusterOf([policy(key, { podSelector: {}, ingress: [{ from }] })]).policies.get(key);
  const peers = found?.ingress?.[0]?.peers;
  if (found === undefined || peers === undefined || peers === 'any') throw new Error('no peers');
  return { peers, policy: found };
}

/** The keys of the groups that peers of policies name. */
function keysOf(...cases: readonly (readonly [key: string, from: readonly Manifest[]])[]): readonly string[] {
  const groups = new PeerGroups(clusterOf(WORLD));
  for (const [key, from] of cases) {
    const { peers, policy: one } = decoded(key, from);
    groups.matches(peers, one);
  }
  return [...groups.used().keys()];
}

const podSelector = (matchLabels: Manifest, matchExpressions: readonly Manifest[] = []) => ({
  podSelector: { matchLabels, matchExpressions },
});

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
    expect(keysOf(['shop/p', [one]], ['shop/q', [other]])).toHaveLength(1);
  });

  test('of networks too', () => {
    const [a, b] = [{ ipBlock: { cidr: '10.0.0.0/8' } }, { ipBlock: { cidr: '192.0.2.0/24' } }];
    expect(keysOf(['shop/p', [a, b]], ['lab/q', [b, a, a]])).toEqual(['networks 10.0.0.0/8 192.0.2.0/24']);
  });

  test('but not by a policy of another namespace that means its own pods', () => {
    const own = podSelector({ app: 'web' });
    expect(keysOf(['shop/p', [own]], ['lab/p', [own]])).toEqual(['addresses shop app=web', 'addresses lab app=web']);
  });

  test('with a namespaceSelector a policy of any namespace means the same', () => {
    const everywhere = { namespaceSelector: {}, ...podSelector({ app: 'web' }) };
    expect(keysOf(['shop/p', [everywhere]], ['lab/p', [everywhere]])).toHaveLength(1);
  });

  test('a namespace by name is not one by its labels', () => {
    expect(
      keysOf([
        'shop/p',
        [{ podSelector: {} }, { namespaceSelector: {} }, { namespaceSelector: { matchLabels: { team: 'sales' } } }],
      ]),
    ).toHaveLength(3);
  });

  test('an except makes another group', () => {
    expect(
      keysOf([
        'shop/p',
        [
          { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
          { ipBlock: { cidr: '10.0.0.0/8', except: ['10.2.0.0/16'] } },
        ],
      ]),
    ).toEqual(['networks 10.0.0.0/8 except 10.1.0.0/16', 'networks 10.0.0.0/8 except 10.2.0.0/16']);
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
  const groups = new PeerGroups(clusterOf(WORLD));
  groups.matches(peers, one);
  const port = { kind: 'named', protocol: 'TCP', name: 'http' } as const;
  groups.namedPortMatches(peers, { policy: one, port });
  groups.namedPortMatches('any', { policy: one, port });
  expect([...groups.used().keys()]).toEqual([
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
  const groups = new PeerGroups(clusterOf(WORLD));
  const everywhere = decoded('shop/p', [{ namespaceSelector: {} }]);
  const own = decoded('orphan/p', [{ podSelector: {} }]);
  groups.matches(everywhere.peers, everywhere.policy);
  groups.matches(own.peers, own.policy);
  expect([...groups.used().values()].map((group) => group.kind === 'addresses' && group.members)).toEqual([
    ['10.0.0.1', '10.0.1.1'],
    ['10.0.2.1'],
  ]);
});

test('"any" on a named port means every pod that has it, whatever its namespace', () => {
  const groups = new PeerGroups(clusterOf(WORLD));
  const { policy: one } = decoded('shop/p', [{ podSelector: {} }]);
  groups.namedPortMatches('any', { policy: one, port: { kind: 'named', protocol: 'TCP', name: 'http' } });
  expect(
    [...groups.used().values()].flatMap((group) =>
      group.kind === 'addressPorts' ? group.members.map(({ address, port }) => `${address}:${port}`) : [],
    ),
  ).toEqual(['10.0.0.1:80', '10.0.1.1:81', '10.0.2.1:82']);
});

test('"any" without a named port needs no group', () => {
  const groups = new PeerGroups(clusterOf(WORLD));
  const { policy: one } = decoded('shop/p', [{ podSelector: {} }]);
  expect([groups.matches('any', one), groups.used().size]).toEqual([[{ kind: 'any' }], 0]);
});
