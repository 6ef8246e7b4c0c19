import type { RecordMember } from '../recordedFlows.ts';

/** Reads what `nft list set` prints of a set that packets fill. What is no member is passed by. */
export function parseRecordMembers(text: string): readonly RecordMember[] {
  return [...text.matchAll(MEMBER)].map(([, source = '', destination = '', protocol = '', port, packets, expires]) => ({
    source,
    destination,
    protocol: PROTOCOL_NAMES[protocol] ?? protocol.toUpperCase(),
    port: PROTOCOLS_WITH_PORTS.has(protocol) ? Number(port) : undefined,
    packets: Number(packets ?? 0),
    expires: millisecondsOf(expires ?? ''),
  }));
}

const PROTOCOLS_WITH_PORTS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp']);
const PROTOCOL_NAMES: Readonly<Record<string, string>> = { 'ipv6-icmp': 'ICMPV6' };

// `10.0.0.1 . 10.0.0.2 . tcp . 80 counter packets 3 bytes 180 expires 9m59s984ms`
const MEMBER =
  /([\da-f.:]+) \. ([\da-f.:]+) \. ([\w-]+) \. (\d+)(?: counter packets (\d+) bytes \d+)? expires ((?:\d+(?:ms|[dhms]))+)/g;

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

function millisecondsOf(time: string): number {
  return [...time.matchAll(/(\d+)(ms|[dhms])/g)].reduce(
    (sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0),
    0,
  );
}
