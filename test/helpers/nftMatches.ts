import { etherTypeOf, l4proto, protocolOf, type PacketView } from './nftFields.ts';
import type { NftElement, NftSet, NftTable } from './nftModel.ts';
import type { Dependency, Key, MatchStatement, Verdict, VmapStatement } from './nftRule.ts';

/** Tells whether a match of a table's rule holds for a packet. */
export function matches(table: NftTable, match: MatchStatement, view: PacketView): boolean {
  const values = valuesOf(match, view);
  if (values === undefined) return false;
  return isWanted(table, match, values) !== match.negated;
}

/** Returns the verdict of the element of a map that a packet finds, or `undefined`. */
export function foundVerdict(table: NftTable, vmap: VmapStatement, view: PacketView): Verdict | undefined {
  const values = valuesOf(vmap, view);
  if (values === undefined) return undefined;
  if (typeof vmap.map === 'string') return elementOf(setNamed(table, vmap.map), values)?.verdict;
  return vmap.map.find(({ key }) => isWithin(key, values))?.verdict;
}

/** Tells whether a packet has what a statement silently asks for first. */
export function hasAll(dependencies: readonly Dependency[], view: PacketView): boolean {
  return dependencies.every(({ on, value }) => dependencyValue(on, view) === value);
}

function dependencyValue(on: Dependency['on'], view: PacketView): bigint | undefined {
  switch (on) {
    case 'nfproto':
      return view.packet.family === 'ipv4' ? 2n : 10n;
    case 'protocol':
      return protocolOf(view.packet);
    case 'ether':
      return etherTypeOf(view.packet);
    case 'l4proto':
      return l4proto(view);
  }
}

/** Returns what the packet has in each field, or `undefined` where it lacks one. */
function valuesOf(
  { fields, dependencies }: Pick<MatchStatement, 'fields' | 'dependencies'>,
  view: PacketView,
): readonly bigint[] | undefined {
  if (!hasAll(dependencies, view)) return undefined;
  const values: bigint[] = [];
  for (const field of fields) {
    const value = field.read(view);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function isWanted(table: NftTable, { wanted }: MatchStatement, values: readonly bigint[]): boolean {
  const [value = 0n] = values;
  switch (wanted.kind) {
    case 'value':
      return isWithin([wanted.range], values);
    case 'anonymous':
      return wanted.keys.some((key) => isWithin(key, values));
    case 'set':
      return elementOf(setNamed(table, wanted.name), values) !== undefined;
    case 'flags':
      return (value & wanted.bits) !== 0n;
    case 'masked':
      return (value & wanted.mask) === wanted.value;
  }
}

function setNamed({ sets }: NftTable, name: string): NftSet {
  const set = sets.get(name);
  if (set === undefined) throw new Error(`Cannot trace: set "${name}" is not there`);
  return set;
}

function isWithin(key: Key, values: readonly bigint[]): boolean {
  return key.every(({ from, to }, index) => {
    const value = values[index];
    return value !== undefined && value >= from && value <= to;
  });
}

interface Index {
  /** By the first values of their fields. */
  readonly exact: ReadonlyMap<string, NftElement>;
  /** Of an interval set, in order. */
  readonly intervals: readonly NftElement[];
}

// Sweeps ask of one set many thousand times, and a committed set does not change.
const indexes = new WeakMap<NftSet, Index>();

function elementOf(set: NftSet, values: readonly bigint[]): NftElement | undefined {
  const index = indexes.get(set) ?? indexOf(set);
  indexes.set(set, index);
  if (!set.interval) return index.exact.get(values.join(' '));
  const [value = 0n] = values;
  const after = firstAfter(index.intervals, value);
  const found = index.intervals[after - 1];
  return found !== undefined && isWithin(found.key, values) ? found : undefined;
}

function indexOf(set: NftSet): Index {
  const elements = [...set.elements.values()];
  const exact = new Map(elements.map((element) => [element.key.map(({ from }) => from).join(' '), element]));
  return { exact, intervals: elements.toSorted((a, b) => (startOf(a) < startOf(b) ? -1 : 1)) };
}

/** Returns the index of the first interval that begins behind a value. */
function firstAfter(intervals: readonly NftElement[], value: bigint): number {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const interval = intervals[middle];
    if (interval !== undefined && startOf(interval) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function startOf({ key }: NftElement): bigint {
  return key[0]?.from ?? 0n;
}
