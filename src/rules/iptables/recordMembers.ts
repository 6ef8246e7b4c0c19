import type { RecordMember } from '../recordedFlows.ts';

/** Reads what `ipset save` prints of a set that packets fill. Lines that tell of no member are passed by. */
export function parseRecordMembers(text: string): readonly RecordMember[] {
  return [...text.matchAll(MEMBER)].map(
    ([, source = '', protocol = '', port = '', destination = '', seconds, packets]) => ({
      source,
      destination,
      protocol: protocol === 'ipv6-icmp' ? 'ICMPV6' : protocol.toUpperCase(),
      port: PROTOCOLS_WITH_PORTS.has(protocol) ? Number(port) : undefined,
      packets: Number(packets ?? 0),
      expires: Number(seconds) * 1000,
    }),
  );
}

const PROTOCOLS_WITH_PORTS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp', 'udplite']);

// `add NAME 10.0.0.1,tcp:80,10.0.0.2 timeout 598 packets 3 bytes 180`; behind the colon ICMP has its type in words, `any` among them.
const MEMBER = /^add \S+ ([^,\s]+),([\w-]+):([^,\s]+),([^,\s]+) timeout (\d+)(?: packets (\d+) bytes \d+)?/gm;
