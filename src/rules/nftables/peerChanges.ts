import type { SetPlan } from '../heldSets.ts';
import { addElements, addKeys, addSet, deleteElements } from './commands.ts';
import type { NftPeerSet } from './peerSets.ts';
import { at, setsIn, type NftChain, type NftCommands } from './table.ts';

/** What changes of the sets of peers, in the steps of `Changes`. */
export interface PeerChanges {
  readonly made: NftCommands;
  readonly filled: NftCommands;
  readonly gone: NftCommands;
  readonly closes: boolean;
  /** The names of those that `gone` deletes. */
  readonly deleted: readonly string[];
}

/** To delete an element nft first reads what is in every set of ranges on the node; to flush a set it does not, and here nobody else fills it. */
const MOST_FILLED_ANEW = 1000;

/** Returns what changes of the sets of peers. `left` are the chains that nobody wants and that stay: only these may name sets that nobody wants. */
export function peerChanges({ changes, stale }: SetPlan<NftPeerSet>, left: readonly NftChain[]): PeerChanges {
  const made: string[] = [];
  const filled: string[] = [];
  let closes = false;
  for (const { set, size, added, removed } of changes) {
    const { name, type, comment, members } = set;
    const declared = { kind: 'set', type, comment } as const;
    if (size === undefined) made.push(addSet('inet', { name, set: declared }));
    if (added.length + removed.length === 0) continue;
    const isOfRanges = type.endsWith('flags interval');
    // What somebody has put into a set of ranges may overlap with what belongs there.
    const isSpoilt = isOfRanges && size !== undefined && size > 0;
    const isFilledAnew = isSpoilt || (removed.length > 0 && size !== undefined && size <= MOST_FILLED_ANEW);
    const keys = isFilledAnew ? [...members] : added;
    if (isFilledAnew) filled.push(`flush set ${at('inet', name)}`);
    else filled.push(...deleteElements('inet', { set: name, keys: removed }));
    // Nothing is gained by that for ranges, which nft must read to see whether they overlap.
    if (isOfRanges) filled.push(...addElements('inet', { set: name, elements: keys.map((key) => [key, '']) }));
    else filled.push(...addKeys('inet', { name, set: declared, keys }));
    // A member that leaves closes, one that enters opens.
    closes ||= isSpoilt || removed.length > 0;
  }
  const inUse = new Set(left.flatMap(({ rules }) => setsIn(rules)));
  const deleted = [...stale].filter((name) => !inUse.has(name));
  return { made, filled, gone: deleted.map((name) => `delete set ${at('inet', name)}`), closes, deleted };
}
