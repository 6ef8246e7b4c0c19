import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import { compile } from '../../src/policy/compile.ts';
import { evaluate, type SideVerdict } from '../../src/policy/evaluate.ts';
import { profileChains } from '../../src/rules/iptables/profileChain.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowText } from '../helpers/flowText.ts';
import { flowsOf } from '../helpers/flows.ts';
import { hopsOf, type Wiring } from '../helpers/hops.ts';
import { clusterOf } from '../helpers/manifests.ts';
import type { Packet } from '../../src/trace/packet.ts';
import { nodeTracer, RENDERINGS, type Rendering } from '../helpers/traceNode.ts';

const NODES = ['node-1', 'node-2'];
const STALE_MARK = 0x7fff0000;

const states: readonly { readonly name: string; readonly wiring: Wiring; readonly state: Partial<Packet> }[] = [
  { name: 'over a bridge', wiring: 'bridge', state: {} },
  { name: 'over a link for each pod', wiring: 'ptp', state: {} },
  { name: 'forwarded by IPVS', wiring: 'ipvs', state: {} },
  {
    name: 'judged under an older generation',
    wiring: 'bridge',
    state: { ctstate: 'ESTABLISHED', connmark: STALE_MARK },
  },
];

describe.for(RENDERINGS)(
  'every node’s rules, as written for %s, give the verdict of the objects for every flow',
  (rendering) => {
    test.for(states)('$name', { timeout: 120_000 }, ({ wiring, state }) => {
      const agrees = fc.property(clusterManifests, (manifests) => {
        expect(disagreements(clusterOf(manifests), { rendering, wiring, state })).toEqual([]);
      });
      fc.assert(agrees, { numRuns: 100 });
    });
  },
);

interface Conditions {
  readonly rendering: Rendering;
  readonly wiring: Wiring;
  readonly state: Partial<Packet>;
}

/** Returns a line for each flow and node where the rules do not do what the objects say. */
function disagreements(cluster: Cluster, { rendering, wiring, state }: Conditions): readonly string[] {
  const tracers = new Map(
    NODES.map((nodeName) => [nodeName, nodeTracer(cluster, { rendering, nodeName, bridged: wiring !== 'ptp' })]),
  );
  return flowsOf(cluster).flatMap((flow) => {
    const verdict = evaluate(cluster, flow);
    return hopsOf(cluster, { flow, wiring }).flatMap(({ nodeName, judges, packet }) => {
      const follow = tracers.get(nodeName);
      if (follow === undefined) throw new Error(`There are no rules of ${nodeName}`);
      const wanted = judges.some((side) => verdict[side].kind === 'refused') ? 'reject' : 'accept';
      const trace = follow({ ...packet, ...state });
      if (trace.verdict === wanted) return [];
      return [
        `${flowText(flow)} on ${nodeName}: ${trace.verdict} instead of ${wanted}\n${trace.matchedRules.join('\n')}`,
      ];
    });
  });
}

// A sweep that only met open doors would prove nothing.
test('the generated clusters bring up every reason there is', () => {
  const clusters = fc.sample(clusterManifests, { numRuns: 60, seed: 1 }).map(clusterOf);
  const reasons = clusters.flatMap((cluster) => flowsOf(cluster).flatMap((flow) => reasonsOf(evaluate(cluster, flow))));
  expect([...new Set(reasons)].toSorted()).toEqual([
    'allowed',
    'audited',
    'except',
    'itself',
    'named',
    'namespaceLabel',
    'notAPod',
    'notIsolated',
    'number',
    'otherNamespace',
    'outsideBlock',
    'ownNode',
    'podLabel',
    'protocol',
    'refused',
    'unknownNamespace',
  ]);
});

test('some of the generated clusters have profiles that are taken apart by ports', () => {
  const clusters = fc.sample(clusterManifests, { numRuns: 100, seed: 1 }).map(clusterOf);
  const profiles = clusters.flatMap((cluster) =>
    NODES.flatMap((nodeName) => [...wantedPolicy(compile(cluster, nodeName)).profiles.values()]),
  );
  expect(profiles.filter((profile) => profileChains(profile, 'ipv4').length > 1).length).toBeGreaterThan(5);
});

function reasonsOf({
  egress,
  ingress,
}: {
  readonly egress: SideVerdict;
  readonly ingress: SideVerdict;
}): readonly string[] {
  return [egress, ingress].flatMap((side) => {
    const nearest = side.kind === 'refused' ? side.by.map((policy) => policy.nearest) : [];
    return [
      side.kind,
      ...nearest.flatMap((rule) => [rule?.peer.mismatch?.kind ?? [], rule?.port.mismatch?.kind ?? []].flat()),
    ];
  });
}
