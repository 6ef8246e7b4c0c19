import type { HookName } from './nftModel.ts';
import type { TableFamily } from './nftRule.ts';
import { RefusedError } from './restoreTable.ts';

interface Place {
  readonly family: TableFamily;
  readonly hook: HookName;
}

/** Returns the priority of `name`, or of a number. Throws a RefusedError for a name that means nothing there. */
export function priorityOf(text: string, place: Place): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  const named = namesIn(place).get(text);
  if (named === undefined) throw new RefusedError('invalid priority expression value in this context.');
  return named;
}

// nft writes a number by a name that is not further away.
const REACH = 10;

/** Returns a priority as nft prints it. */
export function priorityText(priority: number, place: Place): string {
  for (const [name, value] of namesIn(place)) {
    const offset = priority - value;
    if (offset === 0) return name;
    if (Math.abs(offset) <= REACH) return `${name} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)}`;
  }
  return String(priority);
}

function namesIn({ family, hook }: Place): ReadonlyMap<string, number> {
  const names: [string, number, HookName?][] =
    family === 'bridge'
      ? [
          ['filter', -200],
          ['dstnat', -300, 'prerouting'],
          ['out', 100, 'output'],
          ['srcnat', 300, 'postrouting'],
        ]
      : [
          ['raw', -300],
          ['mangle', -150],
          ['dstnat', -100, 'prerouting'],
          ['filter', 0],
          ['security', 50],
          ['srcnat', 100, 'postrouting'],
        ];
  return new Map(names.flatMap(([name, value, only]) => (only === undefined || only === hook ? [[name, value]] : [])));
}
