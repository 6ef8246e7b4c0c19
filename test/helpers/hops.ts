import type { Cluster } from '../../src/kube/cluster.ts';
import type { Direction } from '../../src/kube/networkPolicy.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { familyOf } from '../../src/net/family.ts';
import type { Protocol } from '../../src/net/protocol.ts';
import type { Endpoint, Flow } from '../../src/policy/flow.ts';
import type { Packet } from '../../src/trace/packet.ts';
import { packet } from './packet.ts';
import { hostInterfaceOf } from './nodeRules.ts';

/**
 * How a node's pods hang together: as ports of a bridge, each on a link of its own, or through IPVS, which sends what it forwards between
 * the node's pods out by OUTPUT.
 */
export type Wiring = 'bridge' | 'ptp' | 'ipvs';

/** A packet on one node, and the ends of the flow that this node answers for. */
export interface Hop {
  readonly nodeName: string;
  readonly judges: readonly Direction[];
  readonly packet: Packet;
}

/**
 * Returns the first packet of a flow on each node that an end of it lives on. A packet to the node itself is not among them: no rule of
 * ours is on its way.
 */
export function hopsOf(
  cluster: Cluster,
  { flow, wiring }: { readonly flow: Flow; readonly wiring: Wiring },
): readonly Hop[] {
  const sender = podOf(cluster, flow.from);
  const receiver = podOf(cluster, flow.to);
  const [source, target] = [nodeOf(cluster, flow.from), nodeOf(cluster, flow.to)];
  const hop = (nodeName: string | undefined, judges: readonly Direction[], path: Partial<Packet>): readonly Hop[] =>
    nodeName === undefined ? [] : [{ nodeName, judges, packet: packet({ ...headerOf(flow), ...path }) }];
  const isLocal = source !== undefined && source === target;
  if (sender !== undefined && receiver !== undefined && isLocal) {
    return hop(source, ['egress', 'ingress'], localPath(cluster, { sender, receiver, wiring }));
  }
  if (isLocal)
    return receiver === undefined
      ? []
      : hop(target, ['ingress'], { hook: 'OUTPUT', inInterface: undefined, srcLocal: true });
  return [
    ...(sender === undefined ? [] : hop(source, ['egress'], entry(cluster, { sender, wiring }))),
    ...(receiver === undefined ? [] : hop(target, ['ingress'], { inInterface: 'eth0' })),
  ];
}

function headerOf({ from, to, protocol, port }: Flow): Partial<Packet> {
  if (from.address === undefined || to.address === undefined)
    throw new Error('Cannot send a packet: the flow needs both addresses');
  return {
    family: familyOf(from.address),
    source: from.address,
    destination: to.address,
    protocol: WORDS[protocol],
    destinationPort: port,
  };
}

const WORDS: Readonly<Record<Protocol, Packet['protocol']>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

interface Path {
  readonly sender: Pod;
  readonly wiring: Wiring;
}

function localPath(cluster: Cluster, { sender, receiver, wiring }: Path & { readonly receiver: Pod }): Partial<Packet> {
  if (wiring === 'ipvs') return { hook: 'OUTPUT', inInterface: undefined };
  const path = entry(cluster, { sender, wiring });
  return wiring === 'bridge' ? { ...path, bridged: true, physdevOut: hostInterfaceOf(cluster, receiver) } : path;
}

function entry(cluster: Cluster, { sender, wiring }: Path): Partial<Packet> {
  const hostInterface = hostInterfaceOf(cluster, sender);
  return wiring === 'ptp' ? { inInterface: hostInterface } : { inInterface: 'cni0', physdevIn: hostInterface };
}

/** Returns the pod that an end is, unless it is its node: a hostNetwork pod. */
function podOf(cluster: Cluster, endpoint: Endpoint): Pod | undefined {
  const pod = namedPod(cluster, endpoint);
  return pod?.hostNetwork === true ? undefined : pod;
}

function nodeOf(cluster: Cluster, endpoint: Endpoint): string | undefined {
  return endpoint.kind === 'node' ? endpoint.nodeName : namedPod(cluster, endpoint)?.nodeName;
}

function namedPod(cluster: Cluster, endpoint: Endpoint): Pod | undefined {
  return endpoint.kind === 'pod' ? cluster.pods.get(`${endpoint.namespace}/${endpoint.name}`) : undefined;
}
