import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { followIptables } from '../../src/trace/iptables/follow.ts';
import { followNftables } from '../../src/trace/nftables/follow.ts';
import type { Flow } from '../../src/policy/flow.ts';
import type { Packet } from '../../src/trace/packet.ts';
import type { Way } from '../../src/trace/walk.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowText } from '../helpers/flowText.ts';
import { flowsOf } from '../helpers/flows.ts';
import { hopsOf, type Wiring } from '../helpers/hops.ts';
import { clusterOf } from '../helpers/manifests.ts';
import { nftRulesetOf, RENDERINGS, type Rendering } from '../helpers/traceNode.ts';
import { traceNft } from '../helpers/traceNft.ts';
import { readTables } from '../helpers/nftNode.ts';
import { filterTableOf } from '../helpers/filterTableOf.ts';

const NODES = ['node-1', 'node-2'];
const WIRINGS: readonly Wiring[] = ['bridge', 'ptp'];

type Follow = (packet: Packet) => { readonly way: Way; readonly oracle: readonly string[] | undefined };

/** Returns what follows packets through what the kernel would show of a node's rules; `oracle` are the rules that another reader finds on the way. */
function followed(cluster: Cluster, options: { rendering: Rendering; nodeName: string; bridged: boolean }): Follow {
  if (options.rendering === 'iptables') {
    const tables = filterTableOf(cluster, options);
    return (packet) => ({ way: followIptables(tables[packet.family], packet), oracle: undefined });
  }
  const ruleset = nftRulesetOf(cluster, options);
  const tables = readTables(ruleset);
  return (packet) => ({ way: followNftables(tables, packet), oracle: traceNft(ruleset, packet).matchedRules });
}

const ENDS = { accept: 'accept', end: 'accept', reject: 'reject', drop: 'drop', unknown: 'unknown' } as const;

describe.for(RENDERINGS)(
  'what the kernel would show of rules written for %s is followed to the verdict of the objects',
  (rendering) => {
    test.for(WIRINGS)('by %s', { timeout: 120_000 }, (wiring) => {
      const agrees = fc.property(clusterManifests, fc.nat(), (manifests, offset) => {
        const cluster = clusterOf(manifests);
        expect(disagreements(cluster, { flows: someOf(flowsOf(cluster), offset), rendering, wiring })).toEqual([]);
      });
      fc.assert(agrees, { numRuns: 50 });
    });
  },
);

// Every rule on the way is read anew for every packet.
const MOST_FLOWS = 400;

function someOf(flows: readonly Flow[], offset: number): readonly Flow[] {
  const step = Math.ceil(flows.length / MOST_FLOWS);
  return flows.filter((_, index) => index % step === offset % step);
}

function disagreements(
  cluster: Cluster,
  {
    flows,
    rendering,
    wiring,
  }: { readonly flows: readonly Flow[]; readonly rendering: Rendering; readonly wiring: Wiring },
): readonly string[] {
  const bridged = wiring !== 'ptp';
  const nodes = new Map(NODES.map((nodeName) => [nodeName, followed(cluster, { rendering, nodeName, bridged })]));
  return flows.flatMap((flow) => {
    const verdict = evaluate(cluster, flow);
    return hopsOf(cluster, { flow, wiring }).flatMap(({ nodeName, judges, packet }) => {
      if (packet.hook !== 'FORWARD') return [];
      const wanted = judges.some((side) => verdict[side].kind === 'refused') ? 'reject' : 'accept';
      const { way, oracle } = nodes.get(nodeName)?.(packet) ?? {};
      if (way === undefined) throw new Error(`There are no rules of ${nodeName}`);
      const rules = way.steps.map(({ chain, rule }) => `${chain}: ${rule}`);
      const isSame = ENDS[way.end] === wanted && (oracle === undefined || oracle.join('\n') === rules.join('\n'));
      if (isSame) return [];
      return [
        `${flowText(flow)} on ${nodeName}: ${way.end} (${way.reason}) instead of ${wanted}\n${rules.join('\n')}\n${oracle?.join('\n')}`,
      ];
    });
  });
}
