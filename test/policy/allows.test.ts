import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import type { Direction } from '../../src/kube/networkPolicy.ts';
import { objectKey } from '../../src/kube/pod.ts';
import { allowedBy } from '../../src/policy/allows.ts';
import { compile } from '../../src/policy/compile.ts';
import { evaluate, type SideVerdict } from '../../src/policy/evaluate.ts';
import type { Flow } from '../../src/policy/flow.ts';
import type { Allow, Isolation, NodePolicy, PeerGroup } from '../../src/policy/model.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowsOf } from '../helpers/flows.ts';
import { flowText } from '../helpers/flowText.ts';
import { ADDRESS_BITS, ipNumber, networkOf } from '../../src/trace/ipNumber.ts';
import { clusterOf, policy, type Manifest } from '../helpers/manifests.ts';
import { familyOf } from '../../src/net/family.ts';

/** Clusters with the policies of several: where many select one pod, there is much to merge. */
const crowded: fc.Arbitrary<Cluster> = fc
  .array(clusterManifests, { minLength: 1, maxLength: 5 })
  .map(([first = [], ...others]) =>
    clusterOf([
      ...first,
      ...others.flatMap((manifests, turn) => manifests.filter(isPolicy).map((one) => renamed(one, turn))),
    ]),
  );

function isPolicy({ kind }: Manifest): boolean {
  return kind === 'NetworkPolicy';
}

function renamed(manifest: Manifest, turn: number): Manifest {
  const metadata = manifest['metadata'] as Readonly<Record<string, string>>;
  return { ...manifest, metadata: { ...metadata, name: `${metadata['name']}-${turn}` } };
}

/** Returns what was compiled for a flow's local end says, in the words of `evaluate`. */
function saidOf(
  isolation: Isolation,
  { flow, direction, groups }: { readonly flow: Flow; readonly direction: Direction; readonly groups: Groups },
): SideVerdict['kind'] {
  if (isolation.kind === 'open') return 'notIsolated';
  const address = (direction === 'ingress' ? flow.from : flow.to).address ?? '';
  if (isolation.allows.some((allow) => matches(allow, { address, flow, groups }))) return 'allowed';
  return isolation.kind === 'audited' ? 'audited' : 'refused';
}

type Groups = NodePolicy['peerGroups'];

interface Question {
  readonly address: string;
  readonly flow: Flow;
  readonly groups: Groups;
}

function matches({ peers, ports }: Allow, question: Question): boolean {
  const { address, flow, groups } = question;
  const isPort = ports.some(
    (port) =>
      port.kind === 'any' ||
      (port.protocol === flow.protocol &&
        (port.kind === 'inGroup' || (port.from <= flow.port && flow.port <= port.to))),
  );
  if (!isPort || peers.kind === 'any') return isPort;
  if (peers.kind === 'network') return isInNetwork(peers.cidr.text, address);
  const group = groups.get(peers.key);
  if (group === undefined) throw new Error(`There is no group ${peers.key}`);
  return isMember(group, question);
}

function isMember(group: PeerGroup, { address, flow }: Question): boolean {
  switch (group.kind) {
    case 'addresses':
      return [...group.members].includes(address);
    case 'addressPorts':
      return [...group.members].some(
        (member) => member.address === address && member.port === flow.port && member.protocol === flow.protocol,
      );
    case 'networks':
      return group.blocks.some(
        ({ cidr, except }) =>
          isInNetwork(cidr.text, address) && !except.some((hole) => isInNetwork(hole.text, address)),
      );
  }
}

function isInNetwork(text: string, address: string): boolean {
  const [first = '', prefix = ''] = text.split('/');
  const family = familyOf(first);
  if (familyOf(address) !== family) return false;
  const head = (one: string) => networkOf(ipNumber(one, family), { family, prefix: Number(prefix) });
  return Number(prefix) <= ADDRESS_BITS[family] && head(first) === head(address);
}

/** Returns a line for each flow and end where what was compiled says something else than the objects. */
function disagreements(cluster: Cluster): readonly string[] {
  const nodes = new Map(['node-1', 'node-2'].map((node) => [node, compile(cluster, node)]));
  return flowsOf(cluster).flatMap((flow) => {
    const verdict = evaluate(cluster, flow);
    return (['ingress', 'egress'] as const).flatMap((direction) => {
      const side = verdict[direction];
      const self = direction === 'ingress' ? flow.to : flow.from;
      if (self.kind !== 'pod' || ['notAPod', 'itself', 'ownNode'].includes(side.kind)) return [];
      const pod = cluster.pods.get(objectKey(self));
      const compiled = nodes.get(pod?.nodeName ?? '');
      const isolation = compiled?.pods.get(objectKey(self))?.[direction];
      if (compiled === undefined || isolation === undefined) return [];
      const said = saidOf(isolation, { flow, direction, groups: compiled.peerGroups });
      return said === side.kind ? [] : [`${flowText(flow)} ${direction}: ${said} beside ${side.kind}`];
    });
  });
}

test('lines that are merged allow what their rules allow each by itself', { timeout: 120_000 }, () => {
  const agrees = fc.property(crowded, (cluster) => {
    expect(disagreements(cluster)).toEqual([]);
  });
  fc.assert(agrees, { numRuns: 25 });
});

// A sweep in which nothing was merged would prove nothing.
test('the generated clusters bring up everything that is merged', () => {
  const all = fc.sample(crowded, { numRuns: 400, seed: 2 }).flatMap((cluster) => {
    const { pods, peerGroups } = compile(cluster, 'node-1');
    const allows = [...pods.values()]
      .flatMap(({ ingress, egress }) => [ingress, egress])
      .flatMap((isolation) => (isolation.kind === 'open' ? [] : isolation.allows));
    return [
      ...allows.filter(({ ports }) => ports.length > 1).map(() => 'ports of one peer'),
      ...allows.filter(({ policies }) => policies.length > 1).map(() => 'policies'),
      ...[...peerGroups.values()].flatMap((group) => {
        if (group.kind === 'networks')
          return group.blocks.map(({ except }) => (except.length > 0 ? 'holes' : 'networks'));
        return group.key.includes(' | ') ? [group.kind === 'addresses' ? 'scopes' : 'never'] : [];
      }),
    ];
  });
  expect([...new Set(all)].toSorted()).toEqual(['holes', 'networks', 'policies', 'ports of one peer', 'scopes']);
});

/** What rules of ingress, one of each policy, come to for a pod without named ports: peers, ports, policies. */
function merged(rules: readonly Manifest[], namespaceName = 'shop'): readonly (readonly [string, string, string])[] {
  const manifests = rules.map((rule, index) =>
    policy(`${namespaceName}/p${index}`, { podSelector: {}, ingress: [rule] }),
  );
  const policies = [...clusterOf(manifests).policies.values()];
  return allowedBy(policies, { direction: 'ingress', namedPorts: [] }).allows.map(
    ({ peers, ports, policies: names }) => [
      peers.kind === 'any' ? 'any' : peers.kind === 'network' ? peers.cidr.text : peers.key,
      ports.map((port) => (port.kind === 'range' ? `${port.protocol} ${port.from}-${port.to}` : port.kind)).join(', '),
      names.join(', '),
    ],
  );
}

const apps = (...names: readonly string[]) => names.map((app) => ({ podSelector: { matchLabels: { app } } }));
const teams = (...names: readonly string[]) => names.map((team) => ({ namespaceSelector: { matchLabels: { team } } }));
const net = (cidr: string, ...except: readonly string[]) => ({ ipBlock: { cidr, except } });
const tcp = (...ports: readonly number[]) => ports.map((port) => ({ port }));

describe('merging', () => {
  test.for<{
    readonly rule: string;
    readonly rules: readonly Manifest[];
    readonly allows: readonly (readonly [string, string, string])[];
  }>([
    {
      rule: 'of one peer all ports, each once, ranges that touch as one',
      rules: [
        { from: apps('a'), ports: tcp(80, 443) },
        { from: apps('a'), ports: [{ port: 81, endPort: 90 }, { port: 80 }, { port: 85, endPort: 86 }] },
      ],
      allows: [['addresses shop app=a', 'TCP 80-90, TCP 443-443', 'shop/p0, shop/p1']],
    },
    {
      rule: 'of one peer without ports everything',
      rules: [{ from: apps('a'), ports: tcp(80) }, { from: apps('a') }],
      allows: [['addresses shop app=a', 'any', 'shop/p0, shop/p1']],
    },
    {
      rule: 'a protocol’s ports stay with it',
      rules: [{ ports: [...tcp(80), { port: 80, protocol: 'UDP' }, { protocol: 'SCTP' }] }],
      allows: [['any', 'SCTP 0-65535, TCP 80-80, UDP 80-80', 'shop/p0']],
    },
    {
      rule: 'up to four scopes are looked up each by itself',
      rules: [{ from: apps('a', 'b', 'c', 'd'), ports: tcp(80) }],
      allows: ['a', 'b', 'c', 'd'].map((app) => [`addresses shop app=${app}`, 'TCP 80-80', 'shop/p0']),
    },
    {
      rule: 'more become one, but those of other namespaces are not among them',
      rules: [
        { from: [...apps('a', 'b', 'c'), ...teams('x')], ports: tcp(80) },
        { from: apps('d', 'e'), ports: tcp(80) },
      ],
      allows: [
        [
          ['a', 'b', 'c', 'd', 'e']
            .map((app) => `shop app=${app}`)
            .join(' | ')
            .replace(/^/, 'addresses '),
          'TCP 80-80',
          'shop/p0, shop/p1',
        ],
        ['addresses [team=x] *', 'TCP 80-80', 'shop/p0'],
      ],
    },
    {
      rule: 'peers with other ports stay apart',
      rules: [
        { from: apps('a', 'b', 'c'), ports: tcp(80) },
        { from: apps('d', 'e'), ports: tcp(81) },
      ],
      allows: [
        ...['a', 'b', 'c'].map((app) => [`addresses shop app=${app}`, 'TCP 80-80', 'shop/p0'] as const),
        ...['d', 'e'].map((app) => [`addresses shop app=${app}`, 'TCP 81-81', 'shop/p1'] as const),
      ],
    },
    {
      rule: 'networks with the same ports are one set',
      rules: [
        { from: [net('10.0.0.0/8')], ports: tcp(80) },
        { from: [net('192.0.2.0/24')], ports: tcp(80) },
      ],
      allows: [['networks 10.0.0.0/8 | 192.0.2.0/24', 'TCP 80-80', 'shop/p0, shop/p1']],
    },
    {
      rule: 'everybody on the same ports covers the others',
      rules: [{ from: [...apps('a'), net('10.0.0.0/8')], ports: tcp(80) }, { ports: tcp(80) }],
      allows: [['any', 'TCP 80-80', 'shop/p1']],
    },
    {
      rule: 'everybody on other ports covers nobody',
      rules: [{ from: apps('a'), ports: tcp(80) }, { ports: tcp(81) }],
      allows: [
        ['addresses shop app=a', 'TCP 80-80', 'shop/p0'],
        ['any', 'TCP 81-81', 'shop/p1'],
      ],
    },
    {
      rule: 'everybody on every port covers all',
      rules: [{ from: apps('a'), ports: tcp(80) }, {}, { from: [net('10.0.0.0/8')] }],
      allows: [['any', 'any', 'shop/p1']],
    },
  ])('$rule', ({ rules, allows }) => {
    expect(merged(rules)).toEqual(allows);
  });

  // The label's key reads like a network, and the namespace like the beginning of a group of networks.
  test('a selector is not taken for a network', () => {
    const podSelector = { matchExpressions: [{ key: '10.0.0.0/8', operator: 'Exists' }] };
    const rules = [
      { from: [{ podSelector }], ports: tcp(80) },
      { from: [net('10.0.0.0/8')], ports: tcp(81) },
    ];
    expect(merged(rules, 'networks')).toEqual([
      ['addresses networks 10.0.0.0/8', 'TCP 80-80', 'networks/p0'],
      ['10.0.0.0/8', 'TCP 81-81', 'networks/p1'],
    ]);
  });
});
