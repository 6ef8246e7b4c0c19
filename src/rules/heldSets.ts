import type { PeerGroup } from '../policy/model.ts';
import type { SetMembers } from './setMembers.ts';

/** The set of a peer group in one family. */
export interface GroupSet {
  readonly name: string;
  readonly type: string;
  readonly members: SetMembers;
}

/** A set as a look at the kernel has shown it. */
export interface FoundSet {
  readonly type: string;
  readonly members: Pick<ReadonlyMap<string, unknown>, 'has' | 'keys' | 'size'>;
}

/** What is to be done to a set. */
export interface SetChange<Wanted extends GroupSet> {
  readonly set: Wanted;
  /** How many members the kernel has in it; `undefined`: there is no such set. */
  readonly size: number | undefined;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface SetPlan<Wanted extends GroupSet> {
  readonly groups: ReadonlyMap<string, PeerGroup>;
  readonly changes: readonly SetChange<Wanted>[];
  /** Sets whose members must be looked at first: nobody knows what has become of them. Nothing is said of their changes. */
  readonly unknown: readonly string[];
  /** Sets that are of another type than the wanted ones of their names. */
  readonly misfits: readonly string[];
  /** Sets that are wanted no more. */
  readonly stale: ReadonlySet<string>;
  /** Returns all sets that are wanted. */
  readonly sets: () => readonly Wanted[];
}

/** What is known of a set: the version of its members that it holds, or, until it is settled after a look, the members. */
type Held = { readonly version: number; readonly size: number } | FoundSet;

/**
 * What is known of the sets of peer groups that a kernel holds. Of their members no copy is kept: a group tells how it came from the version that is
 * held, and what is held because of the same object is not compared again.
 */
export class HeldSets<Wanted extends GroupSet> {
  readonly #setsOf: (group: PeerGroup) => readonly Wanted[];
  readonly #held = new Map<string, Held>();
  /** What the sets were last settled for. */
  #groups: ReadonlyMap<string, PeerGroup> = new Map();
  /** The names of those that no group wants. */
  #stale: ReadonlySet<string> = new Set();

  /** `setsOf` gives the sets of a group, the same ones for the same object. */
  constructor(setsOf: (group: PeerGroup) => readonly Wanted[]) {
    this.#setsOf = setsOf;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Whether there are these sets, with so many members each, and no others. */
  hasSizes(sizes: ReadonlyMap<string, number>): boolean {
    return (
      sizes.size === this.#held.size && this.#held.entries().every(([name, held]) => sizes.get(name) === sizeOf(held))
    );
  }

  /** Takes over a look at all sets: whatever is wanted is compared with it once. */
  found(sets: ReadonlyMap<string, FoundSet>): void {
    this.#held.clear();
    for (const [name, set] of sets) this.#held.set(name, set);
    this.#groups = new Map();
    this.#stale = new Set(sets.keys());
  }

  /** Takes over a look at some sets that were unknown. One that was not found is not there. */
  foundAmong(names: readonly string[], sets: ReadonlyMap<string, FoundSet>): void {
    for (const name of names) {
      const set = sets.get(name);
      if (set === undefined) this.#held.delete(name);
      else this.#held.set(name, set);
    }
  }

  /** Returns the way to what these groups want. */
  plan(groups: ReadonlyMap<string, PeerGroup>): SetPlan<Wanted> {
    const changes: SetChange<Wanted>[] = [];
    const unknown: string[] = [];
    const misfits: string[] = [];
    const sets = () => [...groups.values()].flatMap(this.#setsOf);
    if (groups === this.#groups) return { groups, changes, unknown, misfits, stale: this.#stale, sets };
    const stale = new Set(this.#stale);
    for (const [key, group] of this.#groups)
      if (!groups.has(key)) for (const { name } of this.#setsOf(group)) stale.add(name);
    for (const [key, group] of groups) {
      if (this.#groups.get(key) === group) continue;
      for (const set of this.#setsOf(group)) {
        stale.delete(set.name);
        const held = this.#held.get(set.name);
        if (held !== undefined && 'type' in held && held.type !== set.type) misfits.push(set.name);
        const difference = differenceOf(set.members, held);
        if (difference === undefined) unknown.push(set.name);
        else changes.push({ set, size: held && sizeOf(held), ...difference });
      }
    }
    return { groups, changes, unknown, misfits, stale, sets };
  }

  /** Notes that a plan was carried out. */
  settle({ groups, changes, stale }: SetPlan<Wanted>): void {
    for (const { set, size = 0, added, removed } of changes)
      this.#held.set(set.name, { version: set.members.version, size: size + added.length - removed.length });
    this.#groups = groups;
    this.#stale = stale;
  }

  /** Notes that stale sets are gone. */
  settleGone(names: Iterable<string>): void {
    const stale = new Set(this.#stale);
    for (const name of names) {
      stale.delete(name);
      this.#held.delete(name);
    }
    this.#stale = stale;
  }
}

function sizeOf(held: Held): number {
  return 'version' in held ? held.size : held.members.size;
}

function differenceOf(
  members: SetMembers,
  held: Held | undefined,
): Pick<SetChange<GroupSet>, 'added' | 'removed'> | undefined {
  if (held === undefined) return { added: [...members], removed: [] };
  if ('version' in held) return members.since(held.version);
  const added: string[] = [];
  let matched = 0;
  for (const member of members) {
    if (held.members.has(member)) matched += 1;
    else added.push(member);
  }
  if (matched === held.members.size) return { added, removed: [] };
  const wanted = new Set(members);
  return { added, removed: [...held.members.keys()].filter((member) => !wanted.has(member)) };
}
