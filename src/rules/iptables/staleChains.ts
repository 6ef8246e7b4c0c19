import { ledTo } from '../ledTo.ts';
import { isBucketChain, isPodChain, isProfileChain } from '../names.ts';
import { targetOf } from './chain.ts';
import type { WantedChains } from './chainPlan.ts';
import { STANDING_CHAINS } from './entryChains.ts';
import type { RestoreLines } from './podRestore.ts';
import { unlistLines } from './profileLines.ts';
import { NO_LINES, type Progress } from './progress.ts';

/** Returns the lines that take away what nobody wants, and notes it; `left` are the chains that stay nevertheless. */
export function staleLines(
  wanted: WantedChains,
  after: Progress,
): { readonly lines: RestoreLines; readonly left: readonly string[] } {
  const { profiles: known, podChains } = wanted;
  const others: string[] = [];
  for (const name of after.chains.keys())
    if (!known.has(name) && !podChains.has(name) && !STANDING_CHAINS.includes(name) && !isBucketChain(name))
      others.push(name);
  if (others.length === 0) return { lines: NO_LINES, left: [] };
  // A pod whose ADD or DEL is under way still leads to the profile that it was given.
  const inUse = ledTo(wanted.pending, (name) => (after.get(name) ?? []).map(targetOf));
  const stale = others.filter((name) => !wanted.pending.has(name) && !inUse.has(name));
  const profiles = new Set(stale.filter(isProfileChain));
  const unlisted = unlistLines(profiles, after);
  const gone = [...stale.filter(isPodChain), ...profiles];
  for (const name of gone) after.delete(name);
  // All are emptied before the first is deleted: they may lead to each other.
  const deletion = ['-F', '-X'].flatMap((verb) => gone.map((name) => `${verb} ${name}`));
  return {
    lines: [...unlisted, ...deletion],
    left: others.filter((name) => after.chains.has(name)),
  };
}
