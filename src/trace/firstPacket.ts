import { familyOf } from '../net/family.ts';
import type { Protocol } from '../net/protocol.ts';
import type { PodHooks } from '../rules/pod.ts';
import type { Packet } from './packet.ts';

/** An end of a connection as its node sees it. */
export interface PacketEnd {
  /** `undefined`: it has none yet, or none that the other could reach. */
  readonly address: string | undefined;
  /** How it is hooked in, if it is a pod of this node. */
  readonly hooks: PodHooks | undefined;
}

/** The node's interfaces and routes. */
export interface NodePaths {
  /** Returns the bridge that an interface is a port of. */
  bridgeOf(name: string): string | undefined;
  /** Returns where a packet to this address leaves the node; `local`: nowhere, it is the node's own. */
  routeTo(address: string): 'local' | { readonly interface: string } | undefined;
}

/** The first packet of a connection on this node, and for which ends the node's rules judge it; or why no rule of this node judges it. */
export type FirstPacket =
  | { readonly kind: 'forwarded'; readonly judges: 'both' | 'egress' | 'ingress'; readonly packet: Packet }
  | { readonly kind: 'notForwarded'; readonly because: 'noAddress' | 'itself' | 'ownNode' | 'elsewhere' };

interface Connection {
  readonly from: PacketEnd;
  readonly to: PacketEnd;
  readonly protocol: Protocol;
  readonly port: number;
}

/** Returns the first packet of a new connection as it comes to FORWARD. */
export function firstPacket({ from, to, protocol, port }: Connection, paths: NodePaths): FirstPacket {
  const judges = judgingSides(from, to);
  if (judges === undefined) return { kind: 'notForwarded', because: 'elsewhere' };
  if (from.address === undefined || to.address === undefined || familyOf(from.address) !== familyOf(to.address))
    return { kind: 'notForwarded', because: 'noAddress' };
  if (from.address === to.address) return { kind: 'notForwarded', because: 'itself' };
  const [back, on] = [paths.routeTo(from.address), paths.routeTo(to.address)];
  if (back === 'local' || on === 'local') return { kind: 'notForwarded', because: 'ownNode' };
  const [entry, exit] = [portOf(from.hooks, paths), portOf(to.hooks, paths)];
  const packet: Packet = {
    ...NEW_FLOW,
    family: familyOf(from.address),
    source: from.address,
    destination: to.address,
    protocol: WORDS[protocol],
    destinationPort: port,
    inInterface: entry?.interface ?? back?.interface,
    outInterface: exit?.interface ?? on?.interface,
    physdevIn: entry?.bridgePort,
    physdevOut: exit?.bridgePort,
    bridged: entry?.bridgePort !== undefined && exit?.bridgePort !== undefined && entry.interface === exit.interface,
  };
  return { kind: 'forwarded', judges, packet };
}

const NEW_FLOW = {
  hook: 'FORWARD',
  sourcePort: undefined,
  icmpType: undefined,
  ctstate: 'NEW',
  ctdir: 'ORIGINAL',
  dnat: false,
  connmark: 0,
  mark: undefined,
  srcLocal: false,
} as const satisfies Partial<Packet>;

const WORDS = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const satisfies Record<Protocol, Packet['protocol']>;

function judgingSides(from: PacketEnd, to: PacketEnd): 'both' | 'egress' | 'ingress' | undefined {
  if (from.hooks !== undefined) return to.hooks === undefined ? 'egress' : 'both';
  return to.hooks === undefined ? undefined : 'ingress';
}

interface PodPort {
  /** The pod's own, or the bridge that it is a port of. */
  readonly interface: string | undefined;
  readonly bridgePort: string | undefined;
}

function portOf(hooks: PodHooks | undefined, paths: NodePaths): PodPort | undefined {
  if (hooks?.hostInterface === undefined) return undefined;
  const { hostInterface, bridged } = hooks;
  return bridged
    ? { interface: paths.bridgeOf(hostInterface), bridgePort: hostInterface }
    : { interface: hostInterface, bridgePort: undefined };
}
