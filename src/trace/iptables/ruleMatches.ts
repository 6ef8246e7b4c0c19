import type { IpFamily } from '../../net/family.ts';
import { ADDRESS_BITS, ipNumber, networkOf } from '../ipNumber.ts';
import type { IpSet } from './ipsetDump.ts';
import { hasFlow, type Packet } from '../packet.ts';

/** One match of a rule, ready to be asked. */
export type Match = (packet: Packet) => boolean;

/** What a match depends on besides its own words. */
export interface RuleContext {
  readonly family: IpFamily;
  readonly sets: Pick<ReadonlyMap<string, IpSet>, 'get'>;
  /** The rule's `-p`, if it stood before the match. */
  readonly protocol: string | undefined;
}

export interface OptionUse {
  readonly values: readonly string[];
  readonly negated: boolean;
}

export interface MatchModule {
  /** How many words follow each option, and whether this reader knows what `!` before it means. */
  readonly options: Readonly<Record<string, { readonly values: number; readonly negatable: boolean }>>;
  /** Throws an `Error` for values that iptables would refuse or this reader does not know. */
  compile(options: ReadonlyMap<string, OptionUse>, context: RuleContext): Match;
}

/** Compiles `-s` or `-d`. */
export function addressMatch(
  side: 'source' | 'destination',
  { text, negated, family }: { readonly text: string; readonly negated: boolean; readonly family: IpFamily },
): Match {
  const [address = '', length = String(ADDRESS_BITS[family]), ...more] = text.split('/');
  if (/[.:]/.test(length)) return maskMatch(side, { address, mask: length, negated, family });
  const prefix = numberWithin(length, { from: 0, to: ADDRESS_BITS[family] });
  if (more.length > 0) throw new Error(`"${text}" is not an address or network`);
  const network = networkOf(ipNumber(address, family), { family, prefix });
  return (packet) => (networkOf(ipNumber(packet[side], family), { family, prefix }) === network) !== negated;
}

/** A mask may have its ones anywhere. */
function maskMatch(
  side: 'source' | 'destination',
  {
    address,
    mask,
    negated,
    family,
  }: { readonly address: string; readonly mask: string; readonly negated: boolean; readonly family: IpFamily },
): Match {
  const [wanted, bits] = [ipNumber(address, family), ipNumber(mask, family)];
  if ((wanted & bits) !== wanted) throw new Error(`"${address}/${mask}" has bits outside of its mask`);
  return (packet) => ((ipNumber(packet[side], family) & bits) === wanted) !== negated;
}

/** Compiles `-i` or `-o`. */
export function interfaceMatch(side: 'inInterface' | 'outInterface', name: string): Match {
  const isWanted = interfaceTest(name);
  return (packet) => isWanted(packet[side]);
}

/** Compiles `-p`. */
export function protocolMatch(protocol: string): Match {
  if (!['tcp', 'udp', 'sctp', 'icmp', 'ipv6-icmp'].includes(protocol))
    throw new Error(`unknown protocol "${protocol}"`);
  return (packet) => packet.protocol === protocol;
}

/** The matches that this reader knows, by the name that `-m` gives them. */
export const MATCH_MODULES: Readonly<Record<string, MatchModule>> = {
  comment: { options: { '--comment': { values: 1, negatable: false } }, compile: () => () => true },
  tcp: portModule('tcp'),
  udp: portModule('udp'),
  sctp: portModule('sctp'),
  multiport: { options: { '--dports': { values: 1, negatable: false } }, compile: multiport },
  icmp6: { options: { '--icmpv6-type': { values: 1, negatable: false } }, compile: icmpv6Type },
  connmark: { options: { '--mark': { values: 1, negatable: false } }, compile: connmark },
  mark: { options: { '--mark': { values: 1, negatable: false } }, compile: mark },
  conntrack: {
    options: { '--ctstate': { values: 1, negatable: false }, '--ctdir': { values: 1, negatable: false } },
    compile: conntrack,
  },
  physdev: {
    options: { '--physdev-in': { values: 1, negatable: true }, '--physdev-is-bridged': { values: 0, negatable: true } },
    compile: physdev,
  },
  addrtype: { options: { '--src-type': { values: 1, negatable: true } }, compile: addrtype },
  set: {
    options: {
      '--match-set': { values: 2, negatable: true },
      '--update-counters': { values: 0, negatable: true },
    },
    compile: matchSet,
  },
  limit: {
    options: { '--limit': { values: 1, negatable: false }, '--limit-burst': { values: 1, negatable: false } },
    compile: limit,
  },
};

/** Returns a mark and its mask from `VALUE/MASK` text. */
export function parseMark(text: string): { readonly value: number; readonly mask: number } {
  const [, value, mask] = /^(0x[0-9a-f]{1,8})\/(0x[0-9a-f]{1,8})$/.exec(text) ?? [];
  if (value === undefined || mask === undefined) throw new Error(`"${text}" is not a mark with its mask`);
  return { value: Number(value), mask: Number(mask) };
}

function portModule(protocol: string): MatchModule {
  return {
    options: { '--dport': { values: 1, negatable: false } },
    compile: (options, context) => {
      if (context.protocol !== protocol) throw new Error(`match "${protocol}" needs "-p ${protocol}" before it`);
      const ranges = (options.get('--dport')?.values ?? []).map(portRange);
      return ({ destinationPort }) => ranges.every((range) => isWithin(range, destinationPort));
    },
  };
}

// The kernel keeps 15 numbers a rule; a range takes two of them.
const MULTIPORT_SLOTS = 15;

function multiport(options: ReadonlyMap<string, OptionUse>, { protocol = '' }: RuleContext): Match {
  if (!['tcp', 'udp', 'sctp'].includes(protocol))
    throw new Error('match "multiport" needs "-p tcp", "-p udp" or "-p sctp" before it');
  const items = valueOf(options, '--dports').split(',');
  const slots = items.reduce((sum, item) => sum + item.split(':').length, 0);
  if (slots > MULTIPORT_SLOTS) throw new Error(`a multiport of ${slots} numbers, the kernel takes ${MULTIPORT_SLOTS}`);
  const ranges = items.map(portRange);
  return ({ destinationPort }) => ranges.some((range) => isWithin(range, destinationPort));
}

function icmpv6Type(options: ReadonlyMap<string, OptionUse>, { protocol }: RuleContext): Match {
  if (protocol !== 'ipv6-icmp') throw new Error('match "icmp6" needs "-p ipv6-icmp" before it');
  const type = numberWithin(valueOf(options, '--icmpv6-type'), { from: 0, to: 255 });
  return (packet) => packet.icmpType === type;
}

function connmark(options: ReadonlyMap<string, OptionUse>): Match {
  const { value, mask } = parseMark(valueOf(options, '--mark'));
  return (packet) => hasFlow(packet) && (packet.connmark & mask) >>> 0 === value;
}

function mark(options: ReadonlyMap<string, OptionUse>): Match {
  const { value, mask } = parseMark(valueOf(options, '--mark'));
  return (packet) => {
    if (packet.mark === undefined) throw new Error('the mark of the packet is not known');
    return (packet.mark & mask) >>> 0 === value;
  };
}

const STATES = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED', 'DNAT'];

// A packet without a flow has no direction: the kernel answers by the state alone, and no without one (xt_conntrack.c, conntrack_mt).
function conntrack(options: ReadonlyMap<string, OptionUse>): Match {
  const states = options.get('--ctstate')?.values[0]?.split(',');
  const direction = options.get('--ctdir')?.values[0];
  if (states?.some((state) => !STATES.includes(state)))
    throw new Error(`unknown conntrack state in "${states.join(',')}"`);
  if (!['ORIGINAL', 'REPLY', undefined].includes(direction))
    throw new Error(`unknown conntrack direction "${direction}"`);
  if (options.size === 0) throw new Error('match "conntrack" needs an option');
  return (packet) => {
    const own = hasFlow(packet) && packet.dnat ? [packet.ctstate, 'DNAT'] : [packet.ctstate];
    if (states !== undefined && !own.some((state) => states.includes(state))) return false;
    return hasFlow(packet) ? direction === undefined || packet.ctdir === direction : states !== undefined;
  };
}

function physdev(options: ReadonlyMap<string, OptionUse>): Match {
  const port = options.get('--physdev-in');
  const isPort = interfaceTest(port?.values[0] ?? 'none');
  const bridged = options.get('--physdev-is-bridged');
  if (options.size === 0) throw new Error('match "physdev" needs an option');
  return (packet) =>
    (port === undefined || isPort(packet.physdevIn) !== port.negated) &&
    (bridged === undefined || packet.bridged !== bridged.negated);
}

/** Packets of the tests come one at a time. */
function limit(options: ReadonlyMap<string, OptionUse>): Match {
  if (!/^\d+\/(?:sec|min)$/.test(valueOf(options, '--limit'))) throw new Error('unknown "--limit"');
  if (!/^[1-9]\d*$/.test(valueOf(options, '--limit-burst'))) throw new Error('unknown "--limit-burst"');
  return () => true;
}

function addrtype(options: ReadonlyMap<string, OptionUse>): Match {
  const type = valueOf(options, '--src-type');
  if (type !== 'LOCAL') throw new Error(`unknown address type "${type}"`);
  const negated = options.get('--src-type')?.negated ?? false;
  return (packet) => packet.srcLocal !== negated;
}

function matchSet(options: ReadonlyMap<string, OptionUse>, { sets, family }: RuleContext): Match {
  const [name = '', flags = ''] = options.get('--match-set')?.values ?? [];
  const set = sets.get(name);
  if (set === undefined) throw new Error(`set "${name}" is not declared`);
  if (set.family !== family) throw new Error(`set "${name}" is of ${set.family}`);
  const negated = options.get('--match-set')?.negated ?? false;
  if (options.get('--update-counters')?.negated === false) throw new Error('"--update-counters" is never written out');
  if (!['src', 'dst', 'dst,dst', 'src,dst,dst'].includes(flags) || flags.split(',').length !== set.dimensions) {
    throw new Error(`"${flags}" does not fit set "${name}" of ${set.dimensions} dimensions`);
  }
  const isSource = flags === 'src';
  // What packets themselves have put into a set is not followed.
  if (set.dimensions === 3) return () => negated;
  if (negated) throw new Error('cannot read this use of "--match-set"');
  return ({ source, destination, protocol, sourcePort, destinationPort }) =>
    set.contains({
      address: isSource ? source : destination,
      protocol,
      port: isSource ? sourcePort : destinationPort,
    });
}

function valueOf(options: ReadonlyMap<string, OptionUse>, name: string): string {
  const value = options.get(name)?.values[0];
  if (value === undefined) throw new Error(`option "${name}" is missing`);
  return value;
}

/** `+` at the end stands for whatever follows. */
function interfaceTest(name: string): (present: string | undefined) => boolean {
  const [, begin = '', wildcard] = /^([^\s/+!]{1,15})(\+?)$/.exec(name) ?? [];
  if (begin === '') throw new Error(`"${name}" is not an interface name this reader knows`);
  return (present) => (wildcard === '+' ? present?.startsWith(begin) === true : present === begin);
}

interface PortRange {
  readonly from: number;
  readonly to: number;
}

function portRange(text: string): PortRange {
  const [from = '', to = from, ...more] = text.split(':');
  const range = { from: numberWithin(from, { from: 0, to: 65535 }), to: numberWithin(to, { from: 0, to: 65535 }) };
  if (more.length > 0 || range.from > range.to) throw new Error(`"${text}" is not a range of ports`);
  return range;
}

function isWithin({ from, to }: PortRange, port: number | undefined): boolean {
  return port !== undefined && port >= from && port <= to;
}

function numberWithin(text: string, { from, to }: PortRange): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < from || number > to)
    throw new Error(`"${text}" is not a number from ${from} to ${to}`);
  return number;
}
