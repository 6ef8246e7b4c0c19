import { familyOf } from '../../src/net/family.ts';
import { ADDRESS_BITS, ipNumber } from '../../src/trace/ipNumber.ts';

// Frames byte by byte: no program of a pod's sends what these say.

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';

const ETHERTYPES = { arp: 0x0806, ipv4: 0x0800, ipv6: 0x86dd, pppoe: 0x8864, '802.1Q': 0x8100, '802.1ad': 0x88a8 };
const PROTOCOLS = { hopByHop: 0, udp: 17, destinationOptions: 60, icmpv6: 58 };

/** Who sends a frame to whom, by link addresses. */
export interface Link {
  readonly from: string;
  readonly to: string;
}

/** What comes after the link addresses. */
export interface Packet {
  readonly type: keyof typeof ETHERTYPES;
  readonly bytes: Buffer;
}

/** Who sends a packet to whom, by addresses. */
export interface Ends {
  readonly source: string;
  readonly destination: string;
}

export function frame({ from, to }: Link, { type, bytes }: Packet): Buffer {
  return Buffer.concat([linkAddress(to), linkAddress(from), word(ETHERTYPES[type]), bytes]);
}

/** Returns a packet inside of a VLAN; 0 is none, only a priority. */
export function tagged(
  tag: { readonly type: '802.1Q' | '802.1ad'; readonly id: number },
  { type, bytes }: Packet,
): Packet {
  return { type: tag.type, bytes: Buffer.concat([word(tag.id), word(ETHERTYPES[type]), bytes]) };
}

/** Returns an IPv4 packet as PPPoE carries it (RFC 2516). */
export function inPppoe({ bytes }: Packet): Packet {
  return {
    type: 'pppoe',
    bytes: Buffer.concat([Buffer.from([0x11, 0]), word(1), word(bytes.length + 2), word(0x0021), bytes]),
  };
}

/** Returns a request or reply (RFC 826); `note` is what follows it, as padding may. */
export function arp(
  operation: 'request' | 'reply',
  { link: { from, to }, ends, note }: { readonly link: Link; readonly ends: Ends; readonly note: string },
): Packet {
  const target = operation === 'request' ? NOBODY : to;
  const head = [word(1), word(ETHERTYPES.ipv4), Buffer.from([6, 4]), word(operation === 'request' ? 1 : 2)];
  const addresses = [linkAddress(from), address(ends.source), linkAddress(target), address(ends.destination)];
  return { type: 'arp', bytes: Buffer.concat([...head, ...addresses, Buffer.from(note)]) };
}

export function udp(
  ends: Ends,
  { from = 40_000, to = 80, note }: { readonly from?: number; readonly to?: number; readonly note: string },
): Packet {
  const data = Buffer.from(note);
  const datagram = Buffer.concat([word(from), word(to), word(8 + data.length), word(0), data]);
  return packet(ends, { protocol: 'udp', bytes: withChecksum(datagram, { at: 6, ends, protocol: 'udp' }) });
}

/** Returns an ICMPv6 message as neighbour discovery wants it, with a hop limit of 255. */
export function icmpv6(
  ends: Ends,
  {
    type,
    bytes,
    behindOptions = false,
  }: { readonly type: number; readonly bytes: Buffer; readonly behindOptions?: boolean },
): Packet {
  const message = withChecksum(Buffer.concat([Buffer.from([type, 0, 0, 0]), bytes]), {
    at: 2,
    ends,
    protocol: 'icmpv6',
  });
  if (!behindOptions) return packet(ends, { protocol: 'icmpv6', bytes: message });
  // One option of nothing but padding.
  const options = Buffer.from([PROTOCOLS.icmpv6, 0, 1, 4, 0, 0, 0, 0]);
  return packet(ends, { protocol: 'destinationOptions', bytes: Buffer.concat([options, message]) });
}

/** Returns a router advertisement (RFC 4861); the note is in an option that nobody knows. */
export function routerAdvertisement(
  ends: Ends,
  { note, behindOptions = false }: { readonly note: string; readonly behindOptions?: boolean },
): Packet {
  const bytes = Buffer.concat([Buffer.from([64, 0]), word(1800), Buffer.alloc(8), noteOption(note)]);
  return icmpv6(ends, { type: 134, bytes, behindOptions });
}

/** Returns a redirect of what goes to `destination` of a network far away. */
export function redirect(ends: Ends, note: string): Packet {
  const bytes = Buffer.concat([Buffer.alloc(4), address(ends.source), address('2001:db8::1'), noteOption(note)]);
  return icmpv6(ends, { type: 137, bytes });
}

/** Returns the question whether anybody has an address; without a source it is duplicate address detection (RFC 4862). */
export function neighbourSolicitation(
  ends: Ends,
  { target, note }: { readonly target: string; readonly note: string },
): Packet {
  return icmpv6(ends, { type: 135, bytes: Buffer.concat([Buffer.alloc(4), address(target), noteOption(note)]) });
}

/** Returns the multicast address at which a neighbour solicitation for an address is sent (RFC 4291, 2.7.1). */
export function solicitedNode(target: string): string {
  const low = address(target).subarray(13);
  return `ff02::1:ff${low.toString('hex', 0, 1)}:${low.toString('hex', 1)}`;
}

/** Returns the link address at which a multicast packet is sent (RFC 2464, 7). */
export function multicastLink(group: string): string {
  return ['33', '33', ...[...address(group).subarray(12)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function packet(
  { source, destination }: Ends,
  { protocol, bytes }: { readonly protocol: keyof typeof PROTOCOLS; readonly bytes: Buffer },
): Packet {
  const ends = Buffer.concat([address(source), address(destination)]);
  if (familyOf(source) === 'ipv6') {
    const head = Buffer.from([0x60, 0, 0, 0, ...word(bytes.length), PROTOCOLS[protocol], 255]);
    return { type: 'ipv6', bytes: Buffer.concat([head, ends, bytes]) };
  }
  const head = Buffer.from([0x45, 0, ...word(20 + bytes.length), 0, 0, 0, 0, 64, PROTOCOLS[protocol], 0, 0]);
  const whole = Buffer.concat([head, ends]);
  whole.writeUInt16BE(checksum(whole), 10);
  return { type: 'ipv4', bytes: Buffer.concat([whole, bytes]) };
}

function withChecksum(
  bytes: Buffer,
  { at, ends, protocol }: { readonly at: number; readonly ends: Ends; readonly protocol: 'udp' | 'icmpv6' },
): Buffer {
  const pseudo = [address(ends.source), address(ends.destination), word(bytes.length), word(PROTOCOLS[protocol])];
  bytes.writeUInt16BE(checksum(Buffer.concat([...pseudo, bytes])), at);
  return bytes;
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
  let sum = 0;
  for (let at = 0; at < even.length; at += 2) sum += even.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An option of neighbour discovery, of a type for experiments: its length counts eight bytes each. */
function noteOption(note: string): Buffer {
  const words = Math.ceil((note.length + 2) / 8);
  return Buffer.concat([Buffer.from([253, words]), Buffer.from(note.padEnd(words * 8 - 2, '\0'))]);
}

function address(text: string): Buffer {
  const family = familyOf(text);
  return Buffer.from(
    ipNumber(text, family)
      .toString(16)
      .padStart(ADDRESS_BITS[family] / 4, '0'),
    'hex',
  );
}

function linkAddress(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

function word(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}
