import { describe, expect, test } from 'vitest';
import { compile } from '../../src/policy/compile.ts';
import { OPEN, type AttachedPod } from '../../src/rules/pod.ts';
import { wantedChains } from '../../src/rules/iptables/wantedChains.ts';
import { wantedTables } from '../../src/rules/nftables/wantedTables.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

// What every new flow is held against, what every node holds: a change here is a decision.

interface Node {
  readonly replicas: number;
  readonly policies: readonly Manifest[];
}

/** What a node holds in the tables of IPv4, or of nftables, beside the standing chains. */
function costOf({ replicas, policies }: Node) {
  const names = Array.from({ length: replicas }, (_, index) => `web-${index}`);
  const cluster = clusterOf([
    namespace('shop'),
    ...names.map((name, index) => pod(`shop/${name}`, { labels: { app: 'web' }, addresses: [`10.0.0.${index + 1}`] })),
    ...policies,
  ]);
  const wanted = wantedPolicy(compile(cluster, 'node-1'));
  const pods = names.map((name, index): AttachedPod => {
    const hooks = { containerId: name, ifName: 'eth0', namespace: 'shop', name, addresses: [`10.0.0.${index + 1}`] };
    const judgements = wanted.judgements.get(`shop/${name}`) ?? OPEN;
    return { hooks: { ...hooks, hostInterface: `veth${index}`, bridged: true }, judgements };
  });
  const chains = wantedChains(pods, { family: 'ipv4', profiles: wanted.profiles });
  const tables = wantedTables(pods, wanted);
  const none = wantedTables([], { profiles: new Map() });
  const rulesIn = (some: readonly (readonly unknown[])[]) => some.reduce((sum, rules) => sum + rules.length, 0);
  const chainsOf = ({ inet }: typeof tables) => [...inet.chains.values()].map(({ rules }) => rules);
  const elementsOf = ({ inet, bridge }: typeof tables) =>
    [inet, bridge].flatMap(({ sets }) => [...sets.values()].map(({ elements }) => elements.size));
  return {
    iptables: rulesIn([...chains.profiles.values(), ...chains.podChains.values(), ...Object.values(chains.hooks)]),
    nftables: rulesIn(chainsOf(tables)) - rulesIn(chainsOf(none)),
    elements: elementsOf(tables).reduce((sum, size) => sum + size, 0),
    groups: wanted.groups.size,
  };
}

const NOTHING = { replicas: 0, policies: [] };

function more(node: Node, than: Node) {
  const [a, b] = [costOf(node), costOf(than)];
  return {
    iptables: a.iptables - b.iptables,
    nftables: a.nftables - b.nftables,
    elements: a.elements - b.elements,
    groups: a.groups - b.groups,
  };
}

/** So many policies that all select the pods, each with peers by network and by label of its own. */
function crowd(length: number, portsOf: (index: number) => readonly Manifest[] | undefined): readonly Manifest[] {
  return Array.from({ length }, (_, index) => {
    const from = [{ ipBlock: { cidr: `10.1.${index}.0/24` } }, { podSelector: { matchLabels: { peer: `p${index}` } } }];
    const ports = portsOf(index);
    const rule = ports === undefined ? { from } : { from, ports };
    return policy(`shop/p-${index}`, { podSelector: { matchLabels: { app: 'web' } }, ingress: [rule] });
  });
}

// Two chains of its own, two hooks by address and one by interface; or, of nftables, two chains, and elements for both directions and for its lock.
const ONE_POD = { iptables: 3 + 5, nftables: 2, elements: 2 + 2, groups: 0 };

describe('a pod that policies isolate for ingress', () => {
  test('costs its own chains and hooks', () => {
    const open = { replicas: 1, policies: [] };
    expect(more(open, NOTHING)).toEqual(ONE_POD);
  });

  test.for([2, 20, 200])('costs two lookups for %i policies on all ports, and its replicas none', (length) => {
    const policies = crowd(length, () => undefined);
    const [one, two] = [1, 2].map((replicas) => ({ replicas, policies })) as [Node, Node];
    const lookups = length <= 4 ? 1 + length : 2;
    const groups = length <= 4 ? 1 + length : 2;
    expect(more(one, { replicas: 1, policies: [] })).toEqual({
      iptables: lookups + 1,
      // Each in both families, and the way to the profile.
      nftables: 2 * lookups + 1 + 1,
      // That a policy isolates it.
      elements: 1,
      groups,
    });
    expect(more(two, one)).toEqual({ ...ONE_POD, nftables: ONE_POD.nftables + 1, elements: ONE_POD.elements + 1 });
  });

  test('has for 200 policies with a port each 29 chains of a search or one lookup, and its replicas share them', () => {
    const policies = crowd(200, (index) => [{ port: 2000 + 13 * index }]);
    const [one, two] = [1, 2].map((replicas) => ({ replicas, policies })) as [Node, Node];
    // For each port: a network, a group and the end of its chain. 200 ports are in 25 chains, these in 4, each with its end, and those in the profile.
    expect(more(one, { replicas: 1, policies: [] })).toEqual({
      iptables: 200 * 3 + (200 + 25) + (25 + 4) + (4 + 1),
      nftables: 200 * 4 + 1 + 1 + 1,
      elements: 1,
      groups: 200,
    });
    expect(more(two, one)).toEqual({ ...ONE_POD, nftables: ONE_POD.nftables + 1, elements: ONE_POD.elements + 1 });
  });

  test('has for several ports of the same peers one rule a protocol', () => {
    const ports = [80, 443, 8080].map((port) => ({ port }));
    const [few, many] = [ports.slice(0, 1), ports].map((some) => ({ replicas: 1, policies: crowd(1, () => some) })) as [
      Node,
      Node,
    ];
    expect(more(many, few)).toEqual({ iptables: 0, nftables: 0, elements: 0, groups: 0 });
  });
});
