import type { IpFamily } from '../../net/family.ts';
import { ADDRESS_BITS, ipNumber, networkOf } from '../ipNumber.ts';

/** One side of a packet as a set sees it. */
export interface SetQuestion {
  readonly address: string;
  readonly protocol: string;
  readonly port: number | undefined;
}

/** A set of an ipset dump that can be asked. `dimensions` is how many `src`/`dst` a match must give. */
export interface IpSet {
  readonly family: IpFamily;
  readonly dimensions: number;
  contains(question: SetQuestion): boolean;
}

/**
 * Returns the sets of `ipset save` or `ipset restore` text by name.
 * Throws an `Error` for whatever the kernel would refuse or this reader does not know: it must never guess.
 */
export function parseIpsetDump(text: string): ReadonlyMap<string, IpSet> {
  const sets = new Map<string, FilledSet>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() !== '') parseLine(sets, { line: line.trim(), number: index + 1 });
  }
  return sets;
}

interface FilledSet extends IpSet {
  /** Whether packets fill it, for people to read: the way of no packet hangs on what is in it. */
  readonly isNotes?: true;
  /** Returns false if the member is in the set already. */
  add(member: string, nomatch: boolean): boolean;
}

interface Line {
  readonly line: string;
  readonly number: number;
}

function parseLine(sets: Map<string, FilledSet>, at: Line): void {
  const [command, name, ...rest] = at.line.split(/\s+/);
  if (name === undefined) throw refusal(at, 'a command needs a set');
  if (command === 'create') create(sets, { at, name, rest });
  else if (command === 'add') add(sets, { at, name, rest });
  else throw refusal(at, `unknown command "${command}"`);
}

interface Command {
  readonly at: Line;
  readonly name: string;
  readonly rest: readonly string[];
}

// Sizes and the hash's seed, as `ipset save` prints them, change no answer.
const IGNORED_OPTIONS = ['hashsize', 'maxelem', 'bucketsize', 'initval'];
const MAX_NAME = 31;

function create(sets: Map<string, FilledSet>, { at, name, rest: [type = '', ...options] }: Command): void {
  if (sets.has(name)) throw refusal(at, `set "${name}" exists already`);
  if (name.length > MAX_NAME) throw refusal(at, `set name "${name}" is longer than ${MAX_NAME}`);
  let family: IpFamily = 'ipv4';
  const isFilled = type === 'hash:ip,port,ip';
  const pairs = options.filter((option) => !isFilled || option !== 'counters');
  for (let index = 0; index < pairs.length; index += 2) {
    const [option = '', value = ''] = pairs.slice(index, index + 2);
    if (option === 'family' && (value === 'inet' || value === 'inet6')) family = value === 'inet' ? 'ipv4' : 'ipv6';
    else if ((!IGNORED_OPTIONS.includes(option) && !(isFilled && option === 'timeout')) || value === '')
      throw refusal(at, `unknown option "${option} ${value}"`);
  }
  const make = SET_TYPES[type];
  if (make === undefined) throw refusal(at, `unknown set type "${type}"`);
  sets.set(name, make(family));
}

function add(sets: ReadonlyMap<string, FilledSet>, { at, name, rest: [member = '', ...options] }: Command): void {
  const set = sets.get(name);
  if (set === undefined) throw refusal(at, `set "${name}" is not declared`);
  if (set.isNotes === true) return;
  if (options.length > 1 || (options[0] ?? 'nomatch') !== 'nomatch')
    throw refusal(at, `unknown option "${options.join(' ')}"`);
  if (!set.add(member, options.length === 1)) throw refusal(at, `"${member}" is in set "${name}" already`);
}

const SET_TYPES: Readonly<Record<string, (family: IpFamily) => FilledSet>> = {
  'hash:ip': hashIp,
  'hash:net': hashNet,
  'hash:ip,port': hashIpPort,
  'hash:ip,port,ip': hashIpPortIp,
};

function hashIp(family: IpFamily): FilledSet {
  const members = new Set<bigint>();
  return {
    family,
    dimensions: 1,
    contains: ({ address }) => members.has(ipNumber(address, family)),
    add: (member, nomatch) => addTo(members, { key: ipNumber(member, family), nomatch }),
  };
}

// ipset(8), hash:net: "The lookup always starts from the smallest size of netblock (most specific prefix) to the largest one". It ends at the
// first that is found; there `nomatch` says no.
function hashNet(family: IpFamily): FilledSet {
  const byPrefix = new Map<number, Map<bigint, 'match' | 'nomatch'>>();
  return {
    family,
    dimensions: 1,
    contains: ({ address }) => {
      const number = ipNumber(address, family);
      const prefixes = [...byPrefix.keys()].toSorted((a, b) => b - a);
      const hits = prefixes.map((prefix) => byPrefix.get(prefix)?.get(networkOf(number, { family, prefix })));
      return hits.find((hit) => hit !== undefined) === 'match';
    },
    add: (member, nomatch) => {
      const { network, prefix } = parseNetwork(member, family);
      const nets = byPrefix.get(prefix) ?? new Map<bigint, 'match' | 'nomatch'>();
      byPrefix.set(prefix, nets);
      const isNew = !nets.has(network);
      nets.set(network, nomatch ? 'nomatch' : 'match');
      return isNew;
    },
  };
}

function hashIpPort(family: IpFamily): FilledSet {
  const members = new Set<string>();
  return {
    family,
    dimensions: 2,
    contains: ({ address, protocol, port }) => members.has(`${ipNumber(address, family)},${protocol}:${port}`),
    add: (member, nomatch) => {
      const [, address = '', protocol, port] = /^([^,]+),(tcp|udp|sctp):(\d{1,5})$/.exec(member) ?? [];
      return addTo(members, { key: `${ipNumber(address, family)},${protocol}:${Number(port)}`, nomatch });
    },
  };
}

function hashIpPortIp(family: IpFamily): FilledSet {
  return {
    family,
    dimensions: 3,
    isNotes: true,
    contains: () => false,
    add: () => true,
  };
}

function addTo<Key>(members: Set<Key>, { key, nomatch }: { readonly key: Key; readonly nomatch: boolean }): boolean {
  if (nomatch) throw new Error('Cannot trace: only sets of networks take "nomatch"');
  const isNew = !members.has(key);
  members.add(key);
  return isNew;
}

function parseNetwork(member: string, family: IpFamily): { readonly network: bigint; readonly prefix: number } {
  const [address = '', length = String(ADDRESS_BITS[family])] = member.split('/');
  const prefix = Number(length);
  // The kernel's hash:net has no slot for prefix 0.
  if (!/^\d+$/.test(length) || prefix < 1 || prefix > ADDRESS_BITS[family]) {
    throw new Error(`Cannot trace: a hash:net cannot hold "${member}"`);
  }
  return { network: networkOf(ipNumber(address, family), { family, prefix }), prefix };
}

function refusal({ line, number }: Line, reason: string): Error {
  return new Error(`Cannot trace: line ${number} of the sets, "${line}": ${reason}`);
}
