import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explainedText, type Telling } from '../../src/cli/explainedText.ts';
import { viewOf, type KernelView } from '../../src/cli/kernelView.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { explain, type Explanation } from '../../src/policy/explain.ts';
import { followIptables } from '../../src/trace/iptables/follow.ts';
import { followNftables } from '../../src/trace/nftables/follow.ts';
import type { Packet } from '../../src/trace/packet.ts';
import type { Way } from '../../src/trace/walk.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { filterTableOf } from '../helpers/filterTableOf.ts';
import { flowsOf } from '../helpers/flows.ts';
import { hopsOf } from '../helpers/hops.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';
import { readTables } from '../helpers/nftNode.ts';
import { packet } from '../helpers/packet.ts';
import { nftRulesetOf, RENDERINGS, type Rendering } from '../helpers/traceNode.ts';

const NODE = 'node-1';
const MOST_FLOWS = 200;

/** Returns what follows packets through a node's rules whose last chain, where refusals end, somebody has flushed. */
function damaged(cluster: Cluster, rendering: Rendering): (packet: Packet) => Way {
  if (rendering === 'iptables') {
    const tables = filterTableOf(cluster, { nodeName: NODE });
    return (one) => {
      const table = tables[one.family];
      return followIptables(
        { ...table, rulesOf: (name) => (name === 'NWPLCY-REJECT' ? [] : table.rulesOf(name)) },
        one,
      );
    };
  }
  const { inet, bridge } = readTables(nftRulesetOf(cluster, { nodeName: NODE }));
  const chains = new Map([...(inet?.chains ?? []), ['refuse', { rules: [] }] as const]);
  return (one) => followNftables({ inet: inet && { ...inet, chains }, bridge }, one);
}

describe.for(RENDERINGS)('with damaged rules, written for %s,', (rendering) => {
  test('each flow that should be refused makes a difference, and no other', { timeout: 120_000 }, () => {
    let differences = 0;
    const tells = fc.property(clusterManifests, fc.nat(), (manifests, offset) => {
      const cluster = clusterOf(manifests);
      const follow = damaged(cluster, rendering);
      const all = flowsOf(cluster);
      const step = Math.ceil(all.length / MOST_FLOWS);
      for (const flow of all.filter((_, index) => index % step === offset % step)) {
        const hop = hopsOf(cluster, { flow, wiring: 'bridge' }).find(({ nodeName }) => nodeName === NODE);
        if (hop === undefined || hop.packet.hook !== 'FORWARD') continue;
        const explanation = explain(cluster, flow);
        const judges = hop.judges.length === 2 ? 'both' : (hop.judges[0] ?? 'both');
        const way = follow(hop.packet);
        const view = viewOf(way, { explanation, seen: { backend: 'nftables', judges, rules: way.steps, notes: [] } });
        const differs = hop.judges.some((side) => explanation[side].kind === 'refused');
        expect(view).toMatchObject({ kind: 'followed', verdict: 'passed', differs });
        if (differs) differences += 1;
      }
    });
    fc.assert(tells, { numRuns: 30 });
    expect(differences).toBeGreaterThan(0);
  });
});

const CLUSTER = clusterOf([
  namespace('shop'),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'] }),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.2'] }),
  policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ ports: [{ port: 80 }] }] }),
]);
const explained = (port: number): Explanation =>
  explain(CLUSTER, {
    from: { kind: 'pod', namespace: 'shop', name: 'web' },
    to: { kind: 'pod', namespace: 'shop', name: 'db' },
    protocol: 'TCP',
    port,
  });
const STEPS = [
  { chain: 'inet to-pods', rule: 'ip daddr vmap @ingress4' },
  { chain: 'inet to-AAAA', rule: 'goto profile-B' },
];
const QUARANTINE = [{ chain: 'inet to-AAAA', rule: 'goto refuse-ingress' }];

interface Seen {
  readonly way: Partial<Way>;
  readonly judges?: 'both' | 'egress' | 'ingress';
  readonly notes?: readonly string[];
}

function seenBy({ way, judges = 'both', notes = [] }: Seen, explanation: Explanation): KernelView {
  const whole: Way = { end: 'accept', steps: STEPS, packet: packet(), ...way };
  return viewOf(whole, { explanation, seen: { backend: 'nftables', judges, rules: whole.steps, notes } });
}

/** Returns the headline with what belongs to it, and what is said of the kernel. */
function told(port: number, kernel: KernelView | Seen, presence: ReturnType<Telling['presence']> = 'answered'): string {
  const explanation = explained(port);
  const view = 'kind' in kernel ? kernel : seenBy(kernel, explanation);
  const text = explainedText(explanation, {
    places: new Map(),
    agent: undefined,
    kernel: view,
    presence: () => presence,
  });
  return text.replace(/\n\negress[^]*(?=\nkernel)/, '');
}

describe('what people read', () => {
  test('of a kernel that does as it should', () => {
    expect(told(80, { way: {} })).toMatchInlineSnapshot(`
      "ALLOWED  shop/web (10.0.0.1) → shop/db (10.0.0.2)  80/TCP
      kernel   lets it pass (nftables, both ends)
                 inet to-pods: ip daddr vmap @ingress4
                 inet to-AAAA: goto profile-B
      "
    `);
  });

  test.for(['answered', 'atWork', 'away'] as const)(
    'of one that lets pass what is denied, agent %s',
    async (presence) => {
      await expect(told(81, { way: {} }, presence)).toMatchFileSnapshot(`explain/passes-${presence}.txt`);
    },
  );

  test('of a pod that nobody knows', () => {
    expect(told(80, { way: { end: 'reject', steps: QUARANTINE } }, 'away')).toMatchInlineSnapshot(`
      "DIFFERS  shop/web (10.0.0.1) → shop/db (10.0.0.2)  80/TCP: the policies allow it, the kernel of this node refuses it
               shop/db is quarantined: refused everything until an agent knows it
               no agent is at work on this node, the rules are as they were left: start "kube-nwplcy agent"
      kernel   refuses it (nftables, both ends)
                 inet to-AAAA: goto refuse-ingress
      "
    `);
  });

  test('of one end alone', () => {
    expect(told(80, { way: { end: 'drop', steps: [] }, judges: 'ingress' })).toMatchInlineSnapshot(`
      "DIFFERS  shop/web (10.0.0.1) → shop/db (10.0.0.2)  80/TCP: the policies of shop/db allow it, the kernel of this node drops it
               a change may be under way, or somebody has changed the rules, which the agent puts right: ask again in a moment; if it stays so, look at "kube-nwplcy status"
      kernel   drops it (nftables, ingress of shop/db alone: shop/web is not of this node)
      "
    `);
    // The other node refuses it.
    expect(told(81, { way: {}, judges: 'egress' })).toMatchInlineSnapshot(`
      "DENIED  shop/web (10.0.0.1) → shop/db (10.0.0.2)  81/TCP
      kernel   lets it pass (nftables, egress of shop/web alone: shop/db is not of this node)
                 inet to-pods: ip daddr vmap @ingress4
                 inet to-AAAA: goto profile-B
      "
    `);
  });

  test('of rules that nobody understands, and of what else is to be known', () => {
    const way = { end: 'unknown', reason: 'unknown match "\u001b[2J"' } as const;
    expect(told(80, { way, notes: ['nothing in FORWARD leads to our chains'] })).toMatchInlineSnapshot(`
      "ALLOWED  shop/web (10.0.0.1) → shop/db (10.0.0.2)  80/TCP
      kernel   nobody knows what it does (nftables, both ends)
                 nothing in FORWARD leads to our chains
                 inet to-pods: ip daddr vmap @ingress4
                 cannot follow past: inet to-AAAA: goto profile-B (unknown match "\\u{1b}[2J")
      "
    `);
  });

  test.for([
    { kind: 'notJudged', because: 'elsewhere' },
    { kind: 'notJudged', because: 'itself' },
    { kind: 'notJudged', because: 'ownNode' },
    { kind: 'notJudged', because: 'noAddress' },
    { kind: 'unread', reason: 'Cannot run "nft": ENOENT' },
  ] as const)('of no rules: $because$reason', (view) => {
    expect(told(80, view).split('\n')[1]).toMatch(/^kernel {3}\S.*$/);
  });
});

test.for([
  { chain: 'NWPLCY-PI-AAAA', rule: '-g NWPLCY-REJECT-INGRESS', quarantined: 'ingress' },
  { chain: 'NWPLCY-PE-AAAA', rule: '-s 10.0.0.1/32 -g NWPLCY-REJECT-EGRESS', quarantined: 'egress' },
  { chain: 'inet from-AAAA', rule: 'goto refuse-egress', quarantined: 'egress' },
  { chain: 'inet profile-AAAA', rule: 'goto refuse', quarantined: undefined },
  { chain: 'NWPLCY-AAAA', rule: '-g NWPLCY-REJECT', quarantined: undefined },
])('refused by $chain: quarantined $quarantined', ({ chain, rule, quarantined }) => {
  expect(seenBy({ way: { end: 'reject', steps: [{ chain, rule }] } }, explained(80))).toMatchObject({ quarantined });
});
