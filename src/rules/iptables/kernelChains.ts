import type { Rule } from './chain.ts';
import { JUMPS } from './entryChains.ts';

/** What one family's filter table holds of ours. */
export interface KernelChains {
  /** Our chains that exist, with their rules. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  readonly jumps: Readonly<Record<keyof typeof JUMPS, JumpState>>;
}

/** How often our jump stands in somebody else's chain, and whether it stands where it must. */
export interface JumpState {
  readonly count: number;
  readonly inPlace: boolean;
}

export const NOTHING_IN_KERNEL: KernelChains = {
  chains: new Map(),
  jumps: { FORWARD: { count: 0, inPlace: false }, OUTPUT: { count: 0, inPlace: false } },
};

/** Reads what `iptables -S` prints of any number of chains: chain names with their rules, in order. Other lines tell of policies only. */
export function parseChains(text: string): ReadonlyMap<string, readonly Rule[]> {
  const chains = new Map<string, Rule[]>();
  for (const line of text.split('\n')) {
    const [, verb, name, rule] = /^-([NPA]) (\S+) ?(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const rules = chains.get(name) ?? [];
    chains.set(name, rules);
    if (verb === 'A' && rule !== undefined) rules.push(rule);
  }
  return chains;
}

/** Returns the state of our jumps, looking for nothing but our own line in others' chains. FORWARD's must come first, OUTPUT's may stand anywhere. */
export function jumpStates(chains: ReadonlyMap<string, readonly Rule[]>): KernelChains['jumps'] {
  const state = (chain: keyof typeof JUMPS): JumpState => {
    const rules = chains.get(chain) ?? [];
    const count = rules.filter((rule) => rule === JUMPS[chain]).length;
    return { count, inPlace: chain === 'FORWARD' ? rules[0] === JUMPS[chain] : count > 0 };
  };
  return { FORWARD: state('FORWARD'), OUTPUT: state('OUTPUT') };
}
