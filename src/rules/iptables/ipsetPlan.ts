import type { AddressSet } from './addressSet.ts';

export interface IpsetPlan {
  /** What `ipset restore -exist` must be told before the rules that match the sets change. */
  readonly fill: readonly string[];
  /** The sets that are wanted no more, to be destroyed when no rule names them any more. */
  readonly stale: readonly string[];
  /** Members that leave a set which stays, without their options: flows that they were allowed must be judged again. */
  readonly removed: readonly string[];
}

export type SetContents = ReadonlyMap<string, Pick<AddressSet, 'members'>>;

/** Returns the plan that turns the sets in the kernel into the wanted ones. Members leave before others enter. */
export function planIpsets(actual: SetContents, wanted: ReadonlyMap<string, AddressSet>): IpsetPlan {
  const fill: string[] = [];
  const removed: string[] = [];
  for (const set of wanted.values()) {
    const present = actual.get(set.name)?.members;
    if (present === undefined) fill.push(createLine(set));
    for (const member of present ?? []) {
      if (set.members.has(member)) continue;
      fill.push(`del ${set.name} ${bare(member)}`);
      removed.push(bare(member));
    }
    for (const member of set.members) if (present?.has(member) !== true) fill.push(`add ${set.name} ${member}`);
  }
  return { fill, removed, stale: [...actual.keys()].filter((name) => !wanted.has(name)) };
}

// The default limit is 65,536 members; memory is taken as members come, whatever the limit.
const MAX_MEMBERS = 4_194_304;

function createLine({ name, type, family }: AddressSet): string {
  return `create ${name} ${type} family ${family === 'ipv4' ? 'inet' : 'inet6'} maxelem ${MAX_MEMBERS}`;
}

function bare(member: string): string {
  return member.replace(' nomatch', '');
}

/** Reads what `ipset save` prints, keeping the sets that `keep` wants. Throws an Error on a line it does not know. */
export function parseIpsetSave(
  text: string,
  keep: (name: string) => boolean,
): ReadonlyMap<string, { readonly members: ReadonlySet<string> }> {
  const sets = new Map<string, { members: Set<string> }>();
  for (const line of text.split('\n')) {
    const [verb, name, ...rest] = line.split(' ');
    if (name === undefined || !keep(name)) continue;
    if (verb === 'create') sets.set(name, { members: new Set() });
    else if (verb === 'add') sets.get(name)?.members.add(rest.join(' '));
    else throw new Error(`Cannot read the output of ipset save: unknown line "${line}"`);
  }
  return sets;
}
