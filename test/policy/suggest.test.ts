import * as fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';
import { suggestText } from '../../src/cli/suggestText.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { applied } from '../../src/policy/applied.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { partiesOf, type Flow, type Party } from '../../src/policy/flow.ts';
import { suggest, withoutAudit, type SeenFlow } from '../../src/policy/suggest.ts';
import { workloadLabels } from '../../src/policy/workloadLabels.ts';
import { decodeObjects } from '../../src/kube/decode.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowsOf } from '../helpers/flows.ts';
import { flowText } from '../helpers/flowText.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const AUDIT = { 'kube-nwplcy.io/mode': 'audit' };

function audited(manifest: Manifest): Manifest {
  return { ...manifest, metadata: { ...(manifest['metadata'] as Manifest), annotations: AUDIT } };
}

function seen(from: string, to: string, more: Partial<SeenFlow> = {}): SeenFlow {
  return { from, to, protocol: 'TCP', port: 6379, packets: 3, lastSeen: '2026-01-01T11:59:58.000Z', ...more };
}

const SHOP = [
  namespace('shop'),
  namespace('clients'),
  pod('shop/db-0', { labels: { app: 'db', 'pod-template-hash': 'abc' }, addresses: ['10.0.0.1'] }),
  pod('shop/db-1', { labels: { app: 'db', 'pod-template-hash': 'def' }, addresses: ['10.0.0.2'] }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.3'] }),
  pod('clients/app', { labels: { 'app.kubernetes.io/name': 'app', tier: 'x' }, addresses: ['10.0.0.4'] }),
  pod('shop/bare', { addresses: ['10.0.0.5'] }),
];

describe('what is suggested', () => {
  const cluster = clusterOf([
    ...SHOP,
    audited(policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })),
  ]);

  test('names workloads by lasting labels, other namespaces by name, and the outside by address', () => {
    const suggestion = suggest(cluster, [
      seen('10.0.0.3', '10.0.0.1'),
      seen('10.0.0.3', '10.0.0.2', { packets: 1, lastSeen: '2026-01-01T12:00:00.000Z' }),
      seen('10.0.0.4', '10.0.0.1'),
      seen('10.0.0.4', '10.0.0.1', { protocol: 'UDP', port: 53 }),
      seen('10.0.0.1', '192.0.2.1', { port: 443 }),
      seen('10.0.0.3', '10.0.0.5'),
      seen('10.0.0.1', '192.0.2.1', { protocol: 'ICMP', port: null }),
    ]);
    expect(suggestText(suggestion)).toMatchInlineSnapshot(`
      "apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata:
        name: suggested-db
        namespace: shop
      spec:
        podSelector:
          matchLabels:
            app: db
        policyTypes:
          - Ingress
          - Egress
        ingress:
          # shop/web (10.0.0.3) 6379/TCP: 4 packets, last seen 2026-01-01T12:00:00.000Z
          - from:
              - podSelector:
                  matchLabels:
                    app: web
            ports:
              - protocol: TCP
                port: 6379
          # clients/app (10.0.0.4) 6379/TCP: 3 packets, last seen 2026-01-01T11:59:58.000Z
          # clients/app (10.0.0.4) 53/UDP: 3 packets, last seen 2026-01-01T11:59:58.000Z
          - from:
              - namespaceSelector:
                  matchLabels:
                    kubernetes.io/metadata.name: clients
                podSelector:
                  matchLabels:
                    app.kubernetes.io/name: app
            ports:
              - protocol: UDP
                port: 53
              - protocol: TCP
                port: 6379
        egress:
          # 192.0.2.1 443/TCP: 3 packets, last seen 2026-01-01T11:59:58.000Z
          - to:
              - ipBlock:
                  cidr: 192.0.2.1/32
            ports:
              - protocol: TCP
                port: 443
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata:
        name: suggested-web
        namespace: shop
      spec:
        podSelector:
          matchLabels:
            app: web
        policyTypes:
          - Egress
        egress:
          # shop/db-1 (10.0.0.2) 6379/TCP: 1 packet, last seen 2026-01-01T12:00:00.000Z
          # shop/bare (10.0.0.5) 6379/TCP: 3 packets, last seen 2026-01-01T11:59:58.000Z
          # shop/db-0 (10.0.0.1) 6379/TCP: 3 packets, last seen 2026-01-01T11:59:58.000Z
          - to:
              - ipBlock:
                  cidr: 10.0.0.5/32
              - podSelector:
                  matchLabels:
                    app: db
            ports:
              - protocol: TCP
                port: 6379
      ---
      # Not allowed: 10.0.0.1 -> 192.0.2.1 ICMP: a NetworkPolicy cannot name this protocol
      # Not allowed: 10.0.0.3 -> 10.0.0.5 6379/TCP: pod shop/bare has no labels of its own to select it by; give its workload an "app" label
      "
    `);
  });

  test('is nothing for what is allowed, and for ends that nothing isolates', () => {
    expect(suggest(cluster, [seen('192.0.2.1', '10.0.0.4')])).toEqual({ policies: [], notes: [] });
    expect(suggestText({ policies: [], notes: [] })).toBe('# Nothing was seen that needs a policy\n');
  });

  test('takes no name that is taken, and isolates nobody that nothing isolated', () => {
    const partly = clusterOf([
      ...SHOP,
      policy('shop/suggested-db', { podSelector: { matchLabels: { 'pod-template-hash': 'abc' } } }),
    ]);
    const { policies, notes } = suggest(partly, [seen('10.0.0.3', '10.0.0.1')]);
    // By its app, a pod that is not isolated would be selected too.
    expect([policies, notes.length]).toEqual([[], 1]);
    const whole = clusterOf([...SHOP, policy('shop/suggested-db', { podSelector: {} })]);
    expect(suggest(whole, [seen('10.0.0.3', '10.0.0.1')]).policies.map(({ name }) => name)).toEqual(['suggested-db-2']);
  });
});

test('no comment ends where a name says so', () => {
  const evidence = { peer: 'x\n- evil: true #', packets: 1, lastSeen: '\u2028y', protocol: 'TCP', port: 1 } as const;
  const rule = {
    peers: [{ cidr: '10.0.0.1/32' }],
    ports: [{ protocol: 'TCP', port: 1 }],
    evidence: [evidence],
  } as const;
  const text = suggestText({
    policies: [{ namespace: 'shop', name: 'a', podLabels: new Map([['app', '! "x']]), rules: { ingress: [rule] } }],
    notes: ['one\ntwo: three'],
  });
  const [document] = parseAllDocuments(text);
  expect(document?.toJS()).toEqual({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'a', namespace: 'shop' },
    spec: {
      podSelector: { matchLabels: { app: '! "x' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.1/32' } }], ports: [{ protocol: 'TCP', port: 1 }] }],
    },
  });
  expect(
    text
      .split('\n')
      .filter((line) => /evil|three/.test(line))
      .every((line) => line.trim().startsWith('#')),
  ).toBe(true);
});

test('labels that do not outlast a pod tell no workload', () => {
  const keys = (labels: Readonly<Record<string, string>>) =>
    workloadLabels(new Map(Object.entries(labels))).map((some) => [...some.keys()].join());
  expect(keys({ 'pod-template-hash': 'x', 'controller-uid': 'y' })).toEqual([]);
  expect(keys({ tier: 'a', app: 'b', 'pod-template-hash': 'x' })).toEqual(['app', 'tier,app']);
  expect(keys({ 'app.kubernetes.io/name': 'a', app: 'b' })).toEqual([
    'app.kubernetes.io/name',
    'app.kubernetes.io/name,app',
  ]);
});

/** Returns the cluster in which nothing is in audit mode any more, with the policies of a suggestion as the command prints them. */
function tightened(cluster: Cluster, text: string): Cluster {
  const objects = parseAllDocuments(text).flatMap((document) => {
    const value: unknown = document.toJS();
    return value === null ? [] : decodeObjects(value);
  });
  return applied(withoutAudit(cluster), objects);
}

/** Tells whether an end is meant where another was seen: the same address, or a pod with all labels by which the other's workload is told. */
function isMeant(end: Party, seenEnd: Party): boolean {
  if (end.address === seenEnd.address) return true;
  if (end.kind !== 'pod' || seenEnd.kind !== 'pod' || end.pod.namespace !== seenEnd.pod.namespace) return false;
  const [labels] = workloadLabels(seenEnd.pod.labels);
  return labels !== undefined && [...labels].every(([key, value]) => end.pod.labels.get(key) === value);
}

function byAddress({ from, to, ...rest }: Flow): Flow {
  const end = (address = '') => ({ kind: 'address', address }) as const;
  return { ...rest, from: end(from.address), to: end(to.address) };
}

test('of generated clusters: what was seen is allowed, and nothing else that was not', { timeout: 240_000 }, () => {
  let suggested = 0;
  const property = fc.property(clusterManifests, fc.integer({ min: 1, max: 40 }), (manifests, every) => {
    const cluster = clusterOf(manifests);
    const before = withoutAudit(cluster);
    const flows = flowsOf(cluster).map(byAddress);
    const refused = flows.filter((flow) => !evaluate(before, flow).allowed);
    const picked = refused.filter((_, index) => index % every === 0).slice(0, 12);
    const told = picked.map(({ from, to, protocol, port }) =>
      seen(from.address ?? '', to.address ?? '', { protocol, port }),
    );
    const suggestion = suggest(cluster, told);
    suggested += suggestion.policies.length;
    const after = tightened(cluster, suggestText(suggestion));
    const isNoted = ({ from, to, protocol, port }: Flow) =>
      suggestion.notes.some((note) => note.startsWith(`${from.address} -> ${to.address} ${port}/${protocol}: `));
    const parties = picked.map((flow) => ({ flow, ...partiesOf(before, flow) }));
    const isExplained = (flow: Flow) => {
      const { from, to } = partiesOf(before, flow);
      return parties.some(
        (one) =>
          one.flow.port === flow.port &&
          one.flow.protocol === flow.protocol &&
          isMeant(from, one.from) &&
          isMeant(to, one.to),
      );
    };
    const wrong = [
      ...picked
        .filter((flow) => !isNoted(flow) && !evaluate(after, flow).allowed)
        .map((flow) => `${flowText(flow)} was seen and is refused`),
      ...flows.flatMap((flow) => {
        const [was, is] = [evaluate(before, flow).allowed, evaluate(after, flow).allowed];
        if (was && !is) return [`${flowText(flow)} was allowed and is refused`];
        return !was && is && !isExplained(flow) ? [`${flowText(flow)} was opened`] : [];
      }),
    ];
    expect(wrong).toEqual([]);
  });
  fc.assert(property, { numRuns: 60 });
  expect(suggested).toBeGreaterThan(10);
});
