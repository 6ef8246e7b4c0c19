import { areSame } from '../areSame.ts';
import type { Chain, Rule } from './chain.ts';
import type { KernelChains } from './kernelChains.ts';
import { rewriteLines, type RestoreLines } from './podRestore.ts';

/** What the chains hold after the lines so far. There are many of them, and most plans change few. */
export class Progress {
  readonly #before: KernelChains['chains'];
  #changed: Map<string, readonly Rule[]> | undefined;

  constructor(before: KernelChains['chains']) {
    this.#before = before;
  }

  get chains(): KernelChains['chains'] {
    return this.#changed ?? this.#before;
  }

  get(name: string): readonly Rule[] | undefined {
    return this.chains.get(name);
  }

  set(name: string, rules: readonly Rule[]): void {
    this.#own().set(name, rules);
  }

  delete(name: string): void {
    this.#own().delete(name);
  }

  #own(): Map<string, readonly Rule[]> {
    return (this.#changed ??= new Map(this.#before));
  }
}

/** Returns the lines that give chains their content, and notes it. */
export function contentLines(wanted: ReadonlyMap<string, readonly Rule[]>, after: Progress): RestoreLines {
  const lines: string[] = [];
  for (const [name, rules] of wanted) lines.push(...chainLines({ name, rules }, after));
  return lines;
}

export const NO_LINES: RestoreLines = [];

/** Returns the lines that give a chain its content, none if it has it, and notes it. */
export function chainLines({ name, rules }: Chain, after: Progress): RestoreLines {
  const present = after.get(name);
  if (present === rules) return NO_LINES;
  after.set(name, rules);
  if (present === undefined) return [`:${name} - [0:0]`, ...rewriteLines({ name, rules }).slice(1)];
  return areSame(present, rules) ? NO_LINES : rewriteLines({ name, rules });
}

/** Returns what is left of `rules` when one occurrence of each of `taken` is taken away. */
export function withoutFirst(rules: readonly Rule[], taken: readonly Rule[]): readonly Rule[] {
  const counts = new Map<Rule, number>();
  for (const rule of taken) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  return rules.filter((rule) => {
    const count = counts.get(rule) ?? 0;
    if (count > 0) counts.set(rule, count - 1);
    return count === 0;
  });
}
