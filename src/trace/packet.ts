import type { IpFamily } from '../net/family.ts';

/** A packet where the filter table sees it: what its header, conntrack and the bridge say. */
export interface Packet {
  readonly hook: 'FORWARD' | 'OUTPUT';
  readonly family: IpFamily;
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | 'ipv6-icmp';
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  readonly icmpType: number | undefined;
  readonly ctstate: 'NEW' | 'ESTABLISHED' | 'RELATED' | 'INVALID' | 'UNTRACKED';
  readonly ctdir: 'ORIGINAL' | 'REPLY';
  /** Whether the flow was sent to another address than it reaches, such as a Service's. */
  readonly dnat: boolean;
  readonly connmark: number;
  /** `undefined` where nobody can tell what others have set. */
  readonly mark: number | undefined;
  readonly inInterface: string | undefined;
  readonly outInterface: string | undefined;
  /** The bridge port it came in by, also when it is routed on. */
  readonly physdevIn: string | undefined;
  /** The bridge port it leaves by; `undefined` for one that is no pod's. */
  readonly physdevOut?: string | undefined;
  /** Whether it leaves by another port of the same bridge. */
  readonly bridged: boolean;
  /** Whether the source address is the node's own. */
  readonly srcLocal: boolean;
  /**
   * What the frame's header names, where that is not the packet's own protocol: only a bridge sees such a frame. Behind a VLAN tag is the packet. Of ARP,
   * `source` and `destination` are the addresses inside. Of another protocol (by its number, as 0x8864 for PPPoE) nothing more is known.
   */
  readonly etherType?: 'arp' | '8021q' | '8021ad' | number | undefined;
}

/** Tells whether conntrack knows the packet's flow. What it calls INVALID or does not track has no flow, mark or direction. */
export function hasFlow({ ctstate }: Packet): boolean {
  return ctstate !== 'INVALID' && ctstate !== 'UNTRACKED';
}
