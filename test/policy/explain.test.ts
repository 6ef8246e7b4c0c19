import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import type { Labels } from '../../src/kube/labels.ts';
import type { LabelSelector, LabelSelectorRequirement } from '../../src/kube/labelSelector.ts';
import type { Direction, Peer, PolicyPort, PolicyRule } from '../../src/kube/networkPolicy.ts';
import { namespaceNamed } from '../../src/kube/namespace.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { explain, type Explanation, type Refusal, type RulePlace, type Unmet } from '../../src/policy/explain.ts';
import { partiesOf, type Flow, type Party } from '../../src/policy/flow.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowOf, flowText } from '../helpers/flowText.ts';
import { flowsOf } from '../helpers/flows.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

describe('of every flow of generated clusters', () => {
  test('the explanation has the verdict of evaluate, on both sides, and survives JSON', () => {
    assertOfFlows((cluster, flow) => {
      const explanation = explain(cluster, flow);
      expect(JSON.parse(JSON.stringify(explanation)) as Explanation).toEqual(explanation);
      const { allowed, egress, ingress } = evaluate(cluster, flow);
      expect([explanation.allowed, explanation.egress.kind, explanation.ingress.kind]).toEqual([
        allowed,
        egress.kind,
        ingress.kind,
      ]);
    });
  });

  test('every rule named allows by itself, and without all of them the flow is refused', () => {
    let tried = 0;
    assertOfSides((cluster, flow, direction) => {
      const reason = explain(cluster, flow)[direction];
      if (reason.kind !== 'allowed') return;
      tried += 1;
      for (const place of reason.by)
        expect(sideKind(withOnly(cluster, { place, direction }), flow, direction)).toBe('allowed');
      const without = reason.by.reduce((left, place) => withoutRule(left, { place, direction }), cluster);
      // Where only policies in audit mode are left, it would be.
      expect(['refused', 'audited']).toContain(sideKind(without, flow, direction));
    });
    expect(tried).toBeGreaterThan(100);
  });

  test('a nearest rule allows once everything told of it is mended', () => {
    const mended = new Set<string>();
    assertOfSides((cluster, flow, direction) => {
      const reason = explain(cluster, flow)[direction];
      for (const { policy: key, nearest } of reason.kind === 'refused' ? reason.by : []) {
        if (nearest === undefined || !canBeMended(cluster, { key, nearest, direction })) continue;
        const better = nearest.unmet.reduce((left, unmet) => mend(left, { unmet, nearest, flow, direction }), cluster);
        expect(sideKind(better, flow, direction)).toBe('allowed');
        for (const { kind } of nearest.unmet) mended.add(kind);
      }
    });
    expect([...mended].toSorted()).toEqual([
      'except',
      'named',
      'namespaceLabel',
      'notAPod',
      'number',
      'otherNamespace',
      'outsideBlock',
      'podLabel',
      'protocol',
    ]);
  });
});

/** Runs a check on a sample of the flows of many clusters. */
function assertOfFlows(check: (cluster: Cluster, flow: Flow) => void): void {
  const property = fc.property(clusterManifests, fc.nat({ max: 96 }), (manifests, offset) => {
    const cluster = clusterOf(manifests);
    for (const flow of flowsOf(cluster).filter((_, index) => index % 97 === offset)) {
      try {
        check(cluster, flow);
      } catch (error) {
        throw new Error(`Wrong for ${flowText(flow)}`, { cause: error });
      }
    }
  });
  fc.assert(property, { numRuns: 100 });
}

function assertOfSides(check: (cluster: Cluster, flow: Flow, direction: Direction) => void): void {
  assertOfFlows((cluster, flow) => {
    check(cluster, flow, 'egress');
    check(cluster, flow, 'ingress');
  });
}

function sideKind(cluster: Cluster, flow: Flow, direction: Direction): string {
  return evaluate(cluster, flow)[direction].kind;
}

interface Place {
  readonly place: RulePlace;
  readonly direction: Direction;
}

/** Returns the cluster with no other policy for the direction, and in that no other rule, peer or port than the place names. */
function withOnly(cluster: Cluster, { place, direction }: Place): Cluster {
  const found = cluster.policies.get(place.policy);
  const rule = found?.[direction]?.[place.rule];
  if (found === undefined || rule === undefined) throw new Error(`There is no rule ${place.peerPath}`);
  const only = { peers: onlyAt(rule.peers, place.peer), ports: onlyAt(rule.ports, place.port) };
  return { ...cluster, policies: new Map([[place.policy, { ...found, [direction]: [only] }]]) };
}

function onlyAt<Item>(items: 'any' | readonly Item[], index: number | undefined): 'any' | readonly Item[] {
  return items === 'any' || index === undefined ? items : items.slice(index, index + 1);
}

// In its place stands one that means nobody, so that the others keep their numbers.
function withoutRule(cluster: Cluster, { place, direction }: Place): Cluster {
  const nobody: Peer = { kind: 'ipBlock', cidr: parseCidr('255.255.255.255/32'), except: [] };
  return withRule(cluster, { place, direction, change: () => ({ peers: [nobody], ports: 'any' }) });
}

function withRule(
  cluster: Cluster,
  { place, direction, change }: Place & { readonly change: (rule: PolicyRule) => PolicyRule },
): Cluster {
  const found = cluster.policies.get(place.policy);
  if (found === undefined) throw new Error(`There is no policy ${place.policy}`);
  const rules = (found[direction] ?? []).map((rule, index) => (index === place.rule ? change(rule) : rule));
  return { ...cluster, policies: new Map(cluster.policies).set(place.policy, { ...found, [direction]: rules }) };
}

type Nearest = NonNullable<Refusal['nearest']>;

/** Selectors that ask two things of one label can contradict themselves, and of a namespace that is not there no labels are told. */
function canBeMended(
  cluster: Cluster,
  { key, nearest, direction }: { readonly key: string; readonly nearest: Nearest; readonly direction: Direction },
): boolean {
  const rule = cluster.policies.get(key)?.[direction]?.[nearest.rule];
  const peer = rule === undefined || rule.peers === 'any' ? undefined : rule.peers[nearest.peer ?? 0];
  const selectors = peer?.kind === 'pods' ? [peer.namespaceSelector, peer.podSelector] : [];
  return (
    selectors.every((selector) => selector === undefined || asksOnce(selector)) &&
    !nearest.unmet.some(({ kind }) => kind === 'unknownNamespace')
  );
}

function asksOnce({ matchLabels, matchExpressions }: LabelSelector): boolean {
  const keys = [...matchLabels.keys(), ...matchExpressions.map(({ key }) => key)];
  return new Set(keys).size === keys.length;
}

interface Mending {
  readonly unmet: Unmet;
  readonly nearest: Nearest;
  readonly flow: Flow;
  readonly direction: Direction;
}

/** Returns the cluster in which one thing that was told is as it was asked for. */
function mend(cluster: Cluster, { unmet, nearest, flow, direction }: Mending): Cluster {
  const { from, to } = partiesOf(cluster, flow);
  const party = direction === 'ingress' ? from : to;
  const change = (changes: { readonly peer?: Peer | undefined; readonly port?: PolicyPort }) =>
    withRule(cluster, { place: nearest, direction, change: (rule) => changed(rule, nearest, changes) });
  switch (unmet.kind) {
    case 'podLabel':
      return withPeerLabels(cluster, { party, change: (labels) => meet(labels, unmet.label.requirement) });
    case 'namespaceLabel':
      return withNamespaceLabels(cluster, { party, change: (labels) => meet(labels, unmet.label.requirement) });
    case 'otherNamespace': {
      const peer = peerOf(cluster, { nearest, direction });
      if (peer?.kind !== 'pods') throw new Error('There is no selector');
      return withNamespace(change({ peer: { ...peer, namespaceSelector: EVERYTHING } }), party);
    }
    case 'notAPod':
    case 'outsideBlock':
      return change({ peer: networkOf(party) });
    case 'except': {
      const peer = peerOf(cluster, { nearest, direction });
      if (peer?.kind !== 'ipBlock') throw new Error('There is no network');
      return change({ peer: { ...peer, except: peer.except.filter(({ text }) => text !== unmet.cidr.text) } });
    }
    case 'protocol': {
      const port = portOf(cluster, { nearest, direction });
      // The pod may have another number under that name for the other protocol.
      const numbers = port.kind === 'named' ? ({ kind: 'range', from: flow.port, to: flow.port } as const) : port;
      return change({ port: { ...numbers, protocol: flow.protocol } });
    }
    case 'number':
    case 'named': {
      const { protocol } = portOf(cluster, { nearest, direction });
      return change({ port: { kind: 'range', protocol, from: flow.port, to: flow.port } });
    }
    case 'unknownNamespace':
      throw new Error('Cannot be mended');
  }
}

const EVERYTHING: LabelSelector = { matchLabels: new Map(), matchExpressions: [] };

function peerOf(
  cluster: Cluster,
  { nearest, direction }: { readonly nearest: Nearest; readonly direction: Direction },
): Peer | undefined {
  const peers = cluster.policies.get(nearest.policy)?.[direction]?.[nearest.rule]?.peers;
  return peers === 'any' ? undefined : peers?.[nearest.peer ?? 0];
}

function portOf(
  cluster: Cluster,
  { nearest, direction }: { readonly nearest: Nearest; readonly direction: Direction },
): PolicyPort {
  const ports = cluster.policies.get(nearest.policy)?.[direction]?.[nearest.rule]?.ports;
  const port = ports === 'any' ? undefined : ports?.[nearest.port ?? 0];
  if (port === undefined) throw new Error('There is no port');
  return port;
}

function changed(
  { peers, ports }: PolicyRule,
  nearest: Nearest,
  { peer, port }: { readonly peer?: Peer | undefined; readonly port?: PolicyPort },
): PolicyRule {
  return {
    peers: peer === undefined || peers === 'any' ? peers : peers.with(nearest.peer ?? 0, peer),
    ports: port === undefined || ports === 'any' ? ports : ports.with(nearest.port ?? 0, port),
  };
}

function networkOf({ address }: Party): Peer {
  if (address === undefined) throw new Error('There is no address');
  return { kind: 'ipBlock', cidr: parseCidr(`${address}/${address.includes(':') ? 128 : 32}`), except: [] };
}

interface LabelChange {
  readonly party: Party;
  readonly change: (labels: Labels) => Labels;
}

function withPeerLabels(cluster: Cluster, { party, change }: LabelChange): Cluster {
  if (party.kind !== 'pod') throw new Error('There is no pod');
  const key = `${party.pod.namespace}/${party.pod.name}`;
  return { ...cluster, pods: new Map(cluster.pods).set(key, { ...party.pod, labels: change(party.pod.labels) }) };
}

function withNamespaceLabels(cluster: Cluster, { party, change }: LabelChange): Cluster {
  const found = party.kind === 'pod' ? cluster.namespaces.get(party.pod.namespace) : undefined;
  if (found === undefined) throw new Error('There is no namespace');
  const namespaces = new Map(cluster.namespaces).set(found.name, { ...found, labels: change(found.labels) });
  return { ...cluster, namespaces };
}

/** A selector finds only namespaces that are there. */
function withNamespace(cluster: Cluster, party: Party): Cluster {
  const name = party.kind === 'pod' ? party.pod.namespace : '';
  const namespaces = new Map([[name, namespaceNamed(name)], ...cluster.namespaces]);
  return { ...cluster, namespaces };
}

function meet(labels: Labels, requirement: LabelSelectorRequirement): Labels {
  const without = new Map([...labels].filter(([key]) => key !== requirement.key));
  switch (requirement.operator) {
    case 'In':
      return without.set(requirement.key, requirement.values[0] ?? '');
    case 'Exists':
      return without.set(requirement.key, '');
    case 'NotIn':
    case 'DoesNotExist':
      return without;
  }
}

test('places are told by path, all unmet requirements at once, the nearest policy first', () => {
  const cluster = clusterOf([
    namespace('shop'),
    namespace('other', { team: 'b' }),
    pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.1'] }),
    pod('other/web', { labels: { app: 'web' }, addresses: ['10.0.0.2'] }),
    policy('shop/far', { podSelector: {}, policyTypes: ['Ingress'] }),
    policy('shop/near', {
      podSelector: {},
      ingress: [
        { from: [{ podSelector: {} }] },
        {
          from: [
            {
              namespaceSelector: { matchLabels: { team: 'a' } },
              podSelector: { matchLabels: { app: 'api', tier: 'x' } },
            },
          ],
          ports: [{ protocol: 'UDP', port: 53 }],
        },
      ],
    }),
    policy('other/out', { podSelector: {}, egress: [{ to: [{ namespaceSelector: {} }], ports: [{}, { port: 80 }] }] }),
  ]);
  expect(explain(cluster, flowOf('other/web > shop/db TCP/80'))).toMatchInlineSnapshot(`
    {
      "allowed": false,
      "egress": {
        "by": [
          {
            "peer": 0,
            "peerPath": "spec.egress[0].to[0]",
            "policy": "other/out",
            "port": 0,
            "portPath": "spec.egress[0].ports[0]",
            "rule": 0,
          },
        ],
        "kind": "allowed",
      },
      "from": {
        "address": "10.0.0.2",
        "finished": undefined,
        "kind": "pod",
        "nodeName": undefined,
        "pod": "other/web",
      },
      "ingress": {
        "by": [
          {
            "nearest": {
              "peer": 0,
              "peerPath": "spec.ingress[0].from[0]",
              "policy": "shop/near",
              "port": undefined,
              "portPath": undefined,
              "rule": 0,
              "unmet": [
                {
                  "kind": "otherNamespace",
                  "wanted": "shop",
                },
              ],
            },
            "policy": "shop/near",
          },
          {
            "nearest": undefined,
            "policy": "shop/far",
          },
        ],
        "kind": "refused",
      },
      "port": 80,
      "protocol": "TCP",
      "to": {
        "address": "10.0.0.1",
        "finished": undefined,
        "kind": "pod",
        "nodeName": undefined,
        "pod": "shop/db",
      },
    }
  `);
});
