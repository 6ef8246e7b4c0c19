import type { IpFamily } from '../../net/family.ts';
import type { FoundSet, SetChange } from '../heldSets.ts';
import type { AddressSet } from './addressSet.ts';

export interface IpsetPlan {
  /** What `ipset restore -exist` must be told before the rules that match the sets change. */
  readonly fill: readonly string[];
  /** The families in which what a set let pass may be refused from now on, so that flows must be judged again. */
  readonly closes: ReadonlySet<IpFamily>;
}

/** Returns the lines of these changes. Members leave a set before others enter. */
export function planIpsets(changes: readonly SetChange<AddressSet>[]): IpsetPlan {
  const fill: string[] = [];
  const closes = new Set<IpFamily>();
  for (const { set, size, added, removed } of changes) {
    if (size === undefined) fill.push(createLine(set));
    for (const member of removed) fill.push(`del ${set.name} ${member.replace(' nomatch', '')}`);
    for (const member of added) fill.push(`add ${set.name} ${member}`);
    // While a network's exception was missing, its flows were judged without.
    if (removed.length > 0 || added.some((member) => member.endsWith(' nomatch'))) closes.add(set.family);
  }
  return { fill, closes };
}

// The default limit is 65,536 members; memory is taken as members come, whatever the limit.
const MAX_MEMBERS = 4_194_304;

function createLine({ name, type, family }: AddressSet): string {
  return `create ${name} ${type} family ${family === 'ipv4' ? 'inet' : 'inet6'} maxelem ${MAX_MEMBERS}`;
}

/** Reads what `ipset save` prints, keeping the sets that `keep` wants. Throws an Error on a line it does not know. */
export function parseIpsetSave(text: string, keep: (name: string) => boolean): ReadonlyMap<string, FoundSet> {
  const sets = new Map<string, { readonly type: string; readonly members: Set<string> }>();
  for (const line of text.split('\n')) {
    const [verb, name, ...rest] = line.split(' ');
    if (name === undefined || !keep(name)) continue;
    if (verb === 'create') sets.set(name, { type: rest[0] ?? '', members: new Set() });
    else if (verb === 'add') sets.get(name)?.members.add(rest.join(' '));
    else throw new Error(`Cannot read the output of ipset save: unknown line "${line}"`);
  }
  return sets;
}
