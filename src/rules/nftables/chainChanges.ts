import { areSame } from '../areSame.ts';
import { ledTo } from '../ledTo.ts';
import { addChain, addRules } from './commands.ts';
import { isGenerationChain, isGenerationChainName } from './generation.ts';
import { isNftProfileChain } from './names.ts';
import type { Changes, TableChange } from './plan.ts';
import { at, setsIn, type NftChain, type NftRule } from './table.ts';

export interface ChainChanges extends Changes<NftChain> {
  /** The sets that rules name which are filled in. */
  readonly named: ReadonlySet<string>;
  /** Chains that nobody wants and that stay. */
  readonly left: readonly NftChain[];
}

/** Returns what changes of a table's chains. */
export function chainChanges({ family, present, wanted, untouched }: TableChange): ChainChanges {
  const after = new Map(present.chains);
  const made: string[] = [];
  const filled: string[] = [];
  const named = new Set<string>();
  let closes = false;
  for (const [name, chain] of wanted.chains) {
    const found = present.chains.get(name);
    if (found === chain) continue;
    const isKept = found !== undefined && isAsWanted(name, { found, chain });
    // What is wanted of the generation's chains is not what they hold.
    if (!isKept || !isGenerationChainName(name)) after.set(name, chain);
    if (isKept) continue;
    // By a profile that was not there no flow was judged yet.
    if (found !== undefined || !isNftProfileChain(name)) closes = true;
    if (found === undefined) made.push(addChain(family, { name, chain }));
    // That of the generation too: what somebody has put there may lead to what goes.
    if (found !== undefined || !isGenerationChainName(name))
      filled.push(`flush chain ${at(family, name)}`, ...addRules(family, { name, rules: chain.rules }));
    for (const set of setsIn(chain.rules)) named.add(set);
  }
  if (after.size === wanted.chains.size) return { made, filled, named, gone: [], closes, after, left: [] };
  const unwanted = [...present.chains].filter(([name]) => !wanted.chains.has(name));
  // A pod whose ADD or DEL is under way still leads to the profile that it was given.
  const busy = unwanted.map(([name]) => name).filter((name) => untouched.chains.has(name));
  const inUse = ledTo(busy, (name) => (present.chains.get(name)?.rules ?? []).flatMap(chainsIn));
  const left = unwanted.filter(([name]) => untouched.chains.has(name) || inUse.has(name));
  const kept = new Set(left.map(([name]) => name));
  const gone = unwanted.map(([name]) => name).filter((name) => !kept.has(name));
  for (const name of gone) after.delete(name);
  // All are emptied before the first is deleted: they may lead to each other.
  const deletion = ['flush', 'delete'].flatMap((verb) => gone.map((name) => `${verb} chain ${at(family, name)}`));
  return { made, filled, named, gone: deletion, closes, after, left: left.map(([, chain]) => chain) };
}

function isAsWanted(name: string, { found, chain }: { readonly found: NftChain; readonly chain: NftChain }): boolean {
  if (isGenerationChainName(name)) return isGenerationChain(name, found.rules);
  return areSame(found.rules, chain.rules);
}

/** Returns the chains that a rule leads to: one, or those of its map of verdicts. */
function chainsIn(rule: NftRule): readonly string[] {
  return [...rule.matchAll(/\b(?:goto|jump) ([\w-]+)/g)].flatMap(([, name]) => name ?? []);
}
