import { ipv6Text } from '../net/address.ts';
import { RECORD_SECONDS, type RecordPlace } from './flowRecords.ts';

/** A flow as the kernel has noted it down. Times are in milliseconds since 1970. */
export interface FlowRecord extends RecordPlace {
  /** As policies see it: behind DNAT. Canonical. */
  readonly source: string;
  readonly destination: string;
  /** In capitals: `TCP`, `ICMP`, or a number. */
  readonly protocol: string;
  /** `undefined` for a protocol without ports. */
  readonly port: number | undefined;
  /** Of packets that were judged, since `firstSeen`. */
  readonly packets: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Returns what tells a flow from all others. */
function recordKey({ kind, direction, source, destination, protocol, port }: FlowRecord): string {
  return [kind, direction, source, destination, protocol, port ?? ''].join(' ');
}

/** One member of a place's set of flows, or of that which tells when a flow was last seen. */
export interface RecordMember {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly port: number | undefined;
  readonly packets: number;
  /** In how many milliseconds it will be forgotten. */
  readonly expires: number;
}

/** What the two sets of a place hold. */
export interface RecordMembers {
  readonly flows: readonly RecordMember[];
  readonly last: readonly RecordMember[];
}

/**
 * Returns the flows of a place at a time. A member of `flows` came when the flow was first seen and is never refreshed, one of `last` at each
 * packet from the second on; what the sets tell apart beyond a flow's key, as types of ICMP, comes together.
 */
export function recordsOf(place: RecordPlace, { flows, last }: RecordMembers, now: number): readonly FlowRecord[] {
  const lifetime = RECORD_SECONDS[place.kind] * 1000;
  const records = new Map<string, FlowRecord>();
  for (const [members, isFlow] of [
    [flows, true],
    [last, false],
  ] as const)
    for (const { source, destination, protocol, port, expires, packets } of members) {
      const seen = Math.round(now - lifetime + expires);
      const ends = { source: canonical(source), destination: canonical(destination) };
      const made = {
        ...place,
        ...ends,
        protocol,
        port,
        packets: isFlow ? packets : 0,
        firstSeen: seen,
        lastSeen: seen,
      };
      const key = recordKey(made);
      const known = records.get(key);
      if (known === undefined && !isFlow) continue;
      records.set(key, known === undefined ? made : together(known, made));
    }
  return [...records.values()];
}

function together(one: FlowRecord, other: FlowRecord): FlowRecord {
  return {
    ...one,
    packets: one.packets + other.packets,
    firstSeen: Math.min(one.firstSeen, other.firstSeen),
    lastSeen: Math.max(one.lastSeen, other.lastSeen),
  };
}

/** Programs write IPv6 that embeds IPv4 with dots. */
function canonical(address: string): string {
  return address.includes(':') ? ipv6Text(address) : address;
}
