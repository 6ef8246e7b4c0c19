import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { familyOf, type IpFamily } from '../net/family.ts';
import type { Cluster } from '../kube/cluster.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { LocalPods } from './localPods.ts';
import { deleteUdpFlows, listUdpFlows, type TrackedFlow } from '../dataplane/conntrack.ts';

/**
 * Ends the UDP flows of local pods that are refused by now and that the rules do not reach: replies pass without a judgement, so that one who
 * streams without ever hearing back would go on. Logs what it cannot do.
 */
export async function endRefusedUdpFlows(
  pods: LocalPods,
  {
    families,
    local,
    log,
  }: { readonly families: readonly IpFamily[]; readonly local: ReadonlySet<string>; readonly log: Logger },
): Promise<void> {
  try {
    const spoken = new Set([...local].map(familyOf));
    for (const family of families.filter((one) => spoken.has(one))) {
      const tracked = await listUdpFlows(family);
      if (tracked.length === 0) continue;
      const own = nodeAddresses();
      const concerns = ({ source, destination }: TrackedFlow) =>
        (local.has(source) || local.has(destination)) && !own.has(source) && !own.has(destination);
      const cluster = pods.around(tracked.filter(concerns).flatMap(({ source, destination }) => [source, destination]));
      const flows = Map.groupBy(tracked, (flow) => concerns(flow) && isRefusedBothWays({ cluster, local }, flow));
      await deleteUdpFlows(flows.get(true) ?? [], flows.get(false) ?? []);
    }
  } catch (error) {
    log.warn(
      { err: error },
      'Cannot end UDP flows that are refused by now: a pod that only sends may go on until its flow times out',
    );
  }
}

/** Traffic between a node and its own pods is never judged. */
function nodeAddresses(): ReadonlySet<string> {
  return new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)),
  );
}

/**
 * Both ways: without its entry a packet of the responder begins a flow of its own. If that flow is allowed, the responder may send as it does,
 * and the entry must stay, because in the new one packets of the refused side would be replies.
 */
function isRefusedBothWays(node: Node, flow: TrackedFlow): boolean {
  return (
    isRefused(node, flow) &&
    isRefused(node, { source: flow.destination, destination: flow.source, destinationPort: flow.sourcePort })
  );
}

interface Node {
  readonly cluster: Cluster;
  /** The addresses of its pods. */
  readonly local: ReadonlySet<string>;
}

/** Only what this node's own pods say: by what another node's pod refuses that node ends the flow. */
function isRefused(
  { cluster, local }: Node,
  { source, destination, destinationPort }: Pick<TrackedFlow, 'source' | 'destination' | 'destinationPort'>,
): boolean {
  const [from, to] = [
    { kind: 'address', address: source } as const,
    { kind: 'address', address: destination } as const,
  ];
  const { egress, ingress } = evaluate(cluster, { from, to, protocol: 'UDP', port: destinationPort });
  return (local.has(source) && egress.kind === 'refused') || (local.has(destination) && ingress.kind === 'refused');
}
