import { ipNumber } from '../../src/trace/ipNumber.ts';
import { interfaceNumber, TYPES, type TypeName } from './nftTypes.ts';
import type { NftReader } from './nftTokens.ts';
import type { TableFamily } from './nftRule.ts';
import { hasFlow, type Packet } from '../../src/trace/packet.ts';

export type Hook = 'prerouting' | 'forward' | 'output';

/** A packet where a base chain sees it. */
export interface PacketView {
  readonly packet: Packet;
  readonly family: TableFamily;
  readonly hook: Hook;
  readonly priority: number;
}

export type Network = 'ip' | 'ip6' | 'arp';

/** What stands on the left of a match. */
export interface Field {
  readonly name: string;
  readonly type: TypeName;
  /** The network protocol whose header it is of. */
  readonly network?: Network;
  /** The transport protocol whose header it is of. */
  readonly transport?: bigint;
  /** Returns what the packet has there, or `undefined` if it has no such thing: the rule ends there. */
  read(view: PacketView): bigint | undefined;
}

const protocol = (name: string): bigint => TYPES.inet_proto.parse(name) ?? 0n;
const etherType = (name: string): bigint => TYPES.ether_type.parse(name) ?? 0n;
const STATES = { INVALID: 1n, ESTABLISHED: 2n, RELATED: 4n, NEW: 8n, UNTRACKED: 64n } as const;

/** What `reject with tcp reset` asks for. */
export const L4PROTO: Field = field('meta l4proto', 'inet_proto', l4proto);

const FIELDS: ReadonlyMap<string, Field> = new Map(
  [
    address('ip saddr', 'source'),
    address('ip daddr', 'destination'),
    address('ip6 saddr', 'source'),
    address('ip6 daddr', 'destination'),
    address('arp saddr ip', 'source'),
    address('arp daddr ip', 'destination'),
    ...['tcp', 'udp', 'sctp', 'th'].flatMap((header) => [port(header, 'sourcePort'), port(header, 'destinationPort')]),
    {
      ...field('icmpv6 type', 'icmpv6_type', ({ packet }) => big(packet.icmpType)),
      transport: protocol('icmpv6'),
    },
    L4PROTO,
    field('meta nfproto', 'nf_proto', ({ packet }) => (packet.family === 'ipv4' ? 2n : 10n)),
    field('meta pkttype', 'pkt_type', ({ packet }) => packetType(packet)),
    field('meta protocol', 'ether_type', ({ packet }) => protocolOf(packet)),
    field('ether type', 'ether_type', ({ packet }) => etherTypeOf(packet)),
    field('meta mark', 'mark', ({ packet }) => big(packet.mark)),
    field('iifname', 'ifname', interfaceIn),
    field('oifname', 'ifname', interfaceOut),
    field('fib saddr type', 'fib_addrtype', ({ packet }) => (packet.srcLocal ? 2n : 1n)),
    conntrackField('ct state', 'ct_state', (packet) => STATES[packet.ctstate]),
    conntrackField(
      'ct status',
      'ct_status',
      flowOnly((packet) => (packet.dnat ? 0x20n : 0n)),
    ),
    conntrackField(
      'ct direction',
      'ct_dir',
      flowOnly((packet) => (packet.ctdir === 'REPLY' ? 1n : 0n)),
    ),
    conntrackField(
      'ct mark',
      'mark',
      flowOnly((packet) => big(packet.connmark)),
    ),
  ].map((known) => [known.name, known]),
);

/** Reads the name of a field. Throws an `Error` for a field that this reader does not know. */
export function readField(reader: NftReader): Field {
  if (reader.peek() === 'meta' && ['iifname', 'oifname'].includes(reader.peek(1) ?? '')) reader.next();
  for (const count of [3, 2, 1]) {
    const words = Array.from({ length: count }, (_, index) => reader.peek(index) ?? '');
    const found = FIELDS.get(words.join(' '));
    if (found !== undefined && reader.take(...words)) return found;
  }
  const words = [reader.peek(), reader.peek(1), reader.peek(2)].filter((word) => word !== undefined).join(' ');
  throw new Error(`Cannot read nft text: line ${reader.line}, unknown words "${words}"`);
}

/** Reads a field, or a number that stands in its place in what packets put into sets. */
export function readFieldOrNumber(reader: NftReader): Field {
  const value = /^\d+$/.exec(reader.peek() ?? '')?.[0];
  if (value === undefined) return readField(reader);
  reader.next();
  return field(value, 'inet_service', () => BigInt(value));
}

/** Returns the protocol in the Ethernet header as nft's `ether type` reads it: a VLAN tag's, where there is one. */
export function etherTypeOf(packet: Packet): bigint {
  const own = packet.etherType;
  if (own === undefined) return etherType(packet.family === 'ipv4' ? 'ip' : 'ip6');
  return typeof own === 'number' ? BigInt(own) : etherType(own);
}

/** Returns the protocol that the kernel goes by, behind a VLAN tag. */
export function protocolOf(packet: Packet): bigint {
  const isTagged = packet.etherType === '8021q' || packet.etherType === '8021ad';
  return etherTypeOf(isTagged ? { ...packet, etherType: undefined } : packet);
}

/** Returns the transport protocol, which what is neither IPv4 nor IPv6 does not have. */
export function l4proto({ packet }: PacketView): bigint | undefined {
  const isIp = [etherType('ip'), etherType('ip6')].includes(protocolOf(packet));
  return isIp ? protocol(packet.protocol) : undefined;
}

function field(name: string, type: TypeName, read: Field['read']): Field {
  return { name, type, read };
}

function address(name: string, side: 'source' | 'destination'): Field {
  const network = name.startsWith('ip6') ? 'ip6' : name.startsWith('arp') ? 'arp' : 'ip';
  const family = network === 'ip6' ? 'ipv6' : 'ipv4';
  const read: Field['read'] = ({ packet }) => ipNumber(packet[side], family);
  return { ...field(name, family === 'ipv6' ? 'ipv6_addr' : 'ipv4_addr', read), network };
}

function port(header: string, side: 'sourcePort' | 'destinationPort'): Field {
  const name = `${header} ${side === 'sourcePort' ? 'sport' : 'dport'}`;
  if (header !== 'th')
    return { ...field(name, 'inet_service', ({ packet }) => big(packet[side])), transport: protocol(header) };
  return field(name, 'inet_service', (view) => {
    if (l4proto(view) === undefined) return undefined;
    // ICMP has its checksum there.
    if (!['tcp', 'udp', 'sctp'].includes(view.packet.protocol))
      throw new Error(`Cannot trace: "${name}" of a packet of ${view.packet.protocol} is not a port`);
    return big(view.packet[side]);
  });
}

// Conntrack runs at -200 in the hooks that packets come in by, and not at all for a bridge of its own.
const CONNTRACK_PRIORITY = -200;

function conntrackField(name: string, type: TypeName, read: (packet: Packet) => bigint | undefined): Field {
  return field(name, type, ({ packet, family, hook, priority }) => {
    const isBefore = hook !== 'forward' && priority <= CONNTRACK_PRIORITY;
    if (family === 'bridge' || isBefore)
      throw new Error(`Cannot trace: "${name}" in ${family} ${hook} at ${priority}, where conntrack has not been`);
    return read(packet);
  });
}

function flowOnly(read: (packet: Packet) => bigint | undefined): (packet: Packet) => bigint | undefined {
  return (packet) => (hasFlow(packet) ? read(packet) : undefined);
}

// Where there is no interface, its name is empty (nft_meta.c, nft_meta_store_ifname).
function interfaceIn({ packet, family, hook }: PacketView): bigint | undefined {
  if (hook === 'output') return 0n;
  return interfaceNumber((family === 'bridge' ? packet.physdevIn : packet.inInterface) ?? '');
}

function interfaceOut({ packet, family, hook }: PacketView): bigint | undefined {
  if (hook === 'prerouting') return 0n;
  return interfaceNumber((family === 'bridge' ? packet.physdevOut : packet.outInterface) ?? '');
}

/** The link address is taken to be the one that goes with the destination. */
function packetType({ destination }: Packet): bigint {
  if (destination === '255.255.255.255') return 1n;
  return /^(?:22[4-9]|23\d)\.|^ff/.test(destination) ? 2n : 3n;
}

function big(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
