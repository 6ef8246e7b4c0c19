import type { Mark } from '../mark.ts';
import { JUDGED_CHAIN, SETTLE_CHAIN } from './names.ts';
import { addRules } from './commands.ts';
import type { NftPlan } from './plan.ts';
import { at, type NftCommands, type NftRule } from './table.ts';

/** The chains that know the present generation. */
export type GenerationChain = typeof JUDGED_CHAIN | typeof SETTLE_CHAIN;

export const GENERATION_CHAINS: readonly GenerationChain[] = [JUDGED_CHAIN, SETTLE_CHAIN];

/** Each generation ends in a `return`, so that a new one can be put before an older one: what is behind is dead until somebody takes it out. */
const RULES_EACH = 2;

/** How many generations may stand one behind the other. */
const MOST_GENERATIONS = 10;

/** Returns the rules of one generation. */
function generationRules({ value, mask }: Mark): Readonly<Record<GenerationChain, readonly NftRule[]>> {
  const kept = ~mask >>> 0;
  return {
    [JUDGED_CHAIN]: [`ct mark & ${hex(mask)} == ${hex(value)} accept`, 'return'],
    // The bits of the value come on top of those that are kept either way: so nft prints it.
    [SETTLE_CHAIN]: [`ct mark set ct mark & ${hex((kept | value) >>> 0)} | ${hex(value)}`, 'return'],
  };
}

/** Tells whether a chain is one of those that know the present generation. */
export function isGenerationChainName(name: string): name is GenerationChain {
  return GENERATION_CHAINS.some((chain) => chain === name);
}

/** Returns a plan that begins a new generation in the same transaction, in place of all that stand there. */
export function withGeneration(plan: NftPlan, mark: Mark): NftPlan {
  const rules = generationRules(mark);
  const chains = new Map(plan.after.inet.chains);
  const commands = GENERATION_CHAINS.flatMap((name) => {
    chains.set(name, { ...chains.get(name), rules: rules[name] });
    return [`flush chain ${at('inet', name)}`, ...addRules('inet', { name, rules: rules[name] })];
  });
  return {
    ...plan,
    commands: [...plan.commands, ...commands],
    closes: false,
    after: { ...plan.after, inet: { ...plan.after.inet, chains } },
  };
}

/**
 * Returns the commands that begin a generation before the present one. A transaction that deletes nothing is committed at once; one that deletes
 * waits until no processor looks at what goes (RCU), which takes several times as long.
 */
export function raiseCommands(mark: Mark): NftCommands {
  const rules = generationRules(mark);
  return GENERATION_CHAINS.flatMap((chain) => insertRules(chain, rules[chain]));
}

function insertRules(chain: GenerationChain, rules: readonly NftRule[]): NftCommands {
  return rules.toReversed().map((rule) => `insert rule ${at('inet', chain)} ${rule}`);
}

/** Returns what a generation chain holds, but for the mark, when somebody has begun one more. */
export function repeatedGeneration(rules: readonly NftRule[]): readonly NftRule[] {
  return [...rules.slice(0, RULES_EACH), ...rules];
}

/** Tells whether the rules are those of a generation chain, under whatever mark, with older generations behind but not too many. */
export function isGenerationChain(chain: GenerationChain, rules: readonly NftRule[]): boolean {
  const count = rules.length / RULES_EACH;
  if (!Number.isInteger(count) || count < 1 || count > MOST_GENERATIONS) return false;
  return rules.every((rule, index) => (index % RULES_EACH === 0 ? RULE_FORMS[chain].test(rule) : rule === 'return'));
}

// nft 1.0.6 prints a mask of leading bits as a prefix: `ct mark 0x00010000/16 accept`; and no nft prints one that masks nothing, as where the value
// has all bits of ours.
const RULE_FORMS: Readonly<Record<GenerationChain, RegExp>> = {
  [JUDGED_CHAIN]: /^ct mark (& 0x[0-9a-f]{8} == 0x[0-9a-f]{8}|0x[0-9a-f]{8}\/\d+) accept$/,
  [SETTLE_CHAIN]: /^ct mark set ct mark (?:& 0x[0-9a-f]{8} )?\| 0x[0-9a-f]{8}$/,
};

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
