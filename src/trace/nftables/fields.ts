import type { NftFamily } from '../../rules/nftables/table.ts';
import { hasFlow, type Packet } from '../packet.ts';

/** A packet where a base chain sees it. */
export interface PacketView {
  readonly packet: Packet;
  readonly family: NftFamily;
  readonly hook: 'prerouting' | 'forward';
}

/** What stands on the left of a match. */
export interface Field {
  /** How its values compare: as what they are, as numbers and their ranges, or as words. */
  readonly kind: 'address' | 'number' | 'word';
  /** Returns what the packet has there, as nft prints it; `undefined` if it has no such thing: the rule ends there. Throws an `Error` if nobody can tell. */
  read(view: PacketView): string | undefined;
}

const ETHER_TYPES = { ipv4: 'ip', ipv6: 'ip6' } as const;

/** The fields that are known, by nft's words for them. */
export const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['ip saddr', address('ipv4', 'source')],
  ['ip daddr', address('ipv4', 'destination')],
  ['ip6 saddr', address('ipv6', 'source')],
  ['ip6 daddr', address('ipv6', 'destination')],
  // What is followed is never ARP.
  ['arp saddr ip', { kind: 'address', read: () => undefined }],
  ['arp daddr ip', { kind: 'address', read: () => undefined }],
  ...(['tcp', 'udp', 'sctp'] as const).map((protocol) => [`${protocol} dport`, port(protocol)] as const),
  ['th dport', { kind: 'number', read: ({ packet }) => numberText(packet.destinationPort) }],
  ['icmpv6 type', { kind: 'word', read: ({ packet }) => icmpType(packet) }],
  ['meta l4proto', { kind: 'word', read: ({ packet }) => packet.protocol }],
  ['meta nfproto', { kind: 'word', read: ({ packet }) => packet.family }],
  ['meta protocol', { kind: 'word', read: ({ packet }) => ETHER_TYPES[packet.family] }],
  ['ether type', { kind: 'word', read: ({ packet }) => ETHER_TYPES[packet.family] }],
  ['meta pkttype', { kind: 'word', read: ({ family }) => (family === 'bridge' ? 'other' : 'host') }],
  ['iifname', { kind: 'word', read: interfaceIn }],
  ['oifname', { kind: 'word', read: interfaceOut }],
  ['ct state', { kind: 'word', read: flow(({ ctstate }) => ctstate.toLowerCase()) }],
  ['ct status', { kind: 'word', read: flow(({ dnat }) => (dnat ? 'dnat' : '')) }],
  ['ct direction', { kind: 'word', read: flow(({ ctdir }) => ctdir.toLowerCase()) }],
  ['ct mark', { kind: 'number', read: flow((packet) => (hasFlow(packet) ? String(packet.connmark) : undefined)) }],
]);

function address(family: Packet['family'], side: 'source' | 'destination'): Field {
  return { kind: 'address', read: ({ packet }) => (packet.family === family ? packet[side] : undefined) };
}

function port(protocol: Packet['protocol']): Field {
  return {
    kind: 'number',
    read: ({ packet }) => (packet.protocol === protocol ? numberText(packet.destinationPort) : undefined),
  };
}

function numberText(number: number | undefined): string | undefined {
  return number === undefined ? undefined : String(number);
}

function icmpType({ protocol }: Packet): undefined {
  if (protocol === 'ipv6-icmp') throw new Error('what is of ICMP is not followed');
}

function interfaceIn({ packet, family }: PacketView): string {
  return `"${(family === 'bridge' ? packet.physdevIn : packet.inInterface) ?? ''}"`;
}

function interfaceOut({ packet, family, hook }: PacketView): string {
  if (hook === 'prerouting') throw new Error('where the packet goes is not known yet');
  return `"${(family === 'bridge' ? packet.physdevOut : packet.outInterface) ?? ''}"`;
}

/** Conntrack has been where a packet is routed on, and in no bridge. */
function flow(read: (packet: Packet) => string | undefined): Field['read'] {
  return ({ packet, family, hook }) => {
    if (family === 'bridge' || hook === 'prerouting') throw new Error('conntrack has not seen the packet yet');
    return read(packet);
  };
}
