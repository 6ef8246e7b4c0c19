import type { Packet } from '../../src/trace/packet.ts';

/** Returns the first packet of a TCP connection routed between two IPv4 addresses, with whatever is said otherwise. */
export function packet(tweaks: Partial<Packet> = {}): Packet {
  return {
    hook: 'FORWARD',
    family: 'ipv4',
    source: '10.0.0.1',
    destination: '10.0.0.2',
    protocol: 'tcp',
    sourcePort: 40000,
    destinationPort: 80,
    icmpType: undefined,
    ctstate: 'NEW',
    ctdir: 'ORIGINAL',
    dnat: false,
    connmark: 0,
    mark: 0,
    inInterface: 'eth0',
    outInterface: 'eth1',
    physdevIn: undefined,
    bridged: false,
    srcLocal: false,
    ...tweaks,
  };
}
