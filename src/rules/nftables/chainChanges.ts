import { addChain, addRules } from './commands.ts';
import { isGenerationChain, isGenerationChainName } from './generation.ts';
import { isNftProfileChain } from './names.ts';
import type { Changes, TableChange } from './plan.ts';
import { at, type NftChain, type NftRule } from './table.ts';

/** Returns what changes of a table's chains. */
export function chainChanges({ family, present, wanted, untouched }: TableChange): Changes<NftChain> {
  const after = new Map<string, NftChain>();
  const made: string[] = [];
  const filled: string[] = [];
  let closes = false;
  for (const [name, chain] of wanted.chains) {
    const found = present.chains.get(name);
    const isKept = found !== undefined && isAsWanted(name, { found, chain });
    after.set(name, isKept ? found : chain);
    if (isKept) continue;
    // By a profile that was not there no flow was judged yet.
    if (found !== undefined || !isNftProfileChain(name)) closes = true;
    if (found === undefined) made.push(addChain(family, { name, chain }));
    // That of the generation too: what somebody has put there may lead to what goes.
    if (found !== undefined || !isGenerationChainName(name))
      filled.push(`flush chain ${at(family, name)}`, ...addRules(family, { name, rules: chain.rules }));
  }
  const left = [...present.chains].filter(([name]) => !wanted.chains.has(name));
  // A pod whose ADD or DEL is under way still leads to the profile that it was given.
  const busy = left.filter(([name]) => untouched.chains.has(name));
  const inUse = new Set(busy.flatMap(([, { rules }]) => rules.map(chainIn)));
  for (const [name, chain] of left) if (untouched.chains.has(name) || inUse.has(name)) after.set(name, chain);
  const gone = left.map(([name]) => name).filter((name) => !after.has(name));
  // All are emptied before the first is deleted: they may lead to each other.
  const deletion = ['flush', 'delete'].flatMap((verb) => gone.map((name) => `${verb} chain ${at(family, name)}`));
  return { made, filled, gone: deletion, closes, after };
}

function isAsWanted(name: string, { found, chain }: { readonly found: NftChain; readonly chain: NftChain }): boolean {
  if (isGenerationChainName(name)) return isGenerationChain(name, found.rules);
  return found.rules === chain.rules || isSame(found.rules, chain.rules);
}

function isSame(a: readonly NftRule[], b: readonly NftRule[]): boolean {
  return a.length === b.length && a.every((rule, index) => rule === b[index]);
}

/** Returns the chain that a rule leads to. */
function chainIn(rule: NftRule): string | undefined {
  return /\b(?:goto|jump) (\S+)$/.exec(rule)?.[1];
}
