import type { KernelChains } from '../../src/rules/iptables/kernelChains.ts';
import { jumpStates } from '../../src/rules/iptables/kernelChains.ts';

const BUILT_IN = ['INPUT', 'FORWARD', 'OUTPUT'];
const TARGETS = ['ACCEPT', 'DROP', 'RETURN', 'REJECT', 'CONNMARK', 'SET', 'NFLOG'];
const MAX_NAME = 28;

/** The kernel does not do what a transaction says. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

type Chains = Map<string, string[]>;

/**
 * One family's filter table, changed by lines of `iptables-restore --noflush` alone. It takes a transaction whole or, with a RefusedError, not at
 * all, and refuses what either variant of iptables refuses. Rules are text: they are the same when they are written the same.
 */
export class RestoreTable {
  readonly #hasSet: (name: string) => boolean;
  #chains: Chains;

  constructor({ hasSet = () => true }: { readonly hasSet?: (name: string) => boolean } = {}) {
    this.#hasSet = hasSet;
    this.#chains = new Map(BUILT_IN.map((name) => [name, []]));
  }

  /** All chains with their rules. */
  get chains(): ReadonlyMap<string, readonly string[]> {
    return this.#chains;
  }

  /** Returns the rules of a chain. Throws a RefusedError where there is none. */
  rules(name: string): readonly string[] {
    return chainNamed(this.#chains, name);
  }

  /** Returns our chains, also those that nothing leads to, and our jumps. */
  ours(): KernelChains {
    const ours = [...this.#chains].filter(([name]) => name.startsWith('NWPLCY-') || name === 'KUBE-NWPLCY-CHAIN');
    return { chains: new Map(ours.map(([name, rules]) => [name, [...rules]])), jumps: jumpStates(this.#chains) };
  }

  /** Returns the names of the sets that rules name. */
  setsInUse(): ReadonlySet<string> {
    return new Set([...this.#chains.values()].flat().flatMap(setsOf));
  }

  /** Returns a table that holds the same and goes its own way from here. */
  copy(): RestoreTable {
    const table = new RestoreTable({ hasSet: this.#hasSet });
    table.#chains = copyOf(this.#chains);
    return table;
  }

  /** Commits one transaction. Throws a RefusedError, and then nothing has changed. */
  commit(lines: readonly string[]): void {
    const chains = copyOf(this.#chains);
    for (const [index, line] of lines.entries()) {
      try {
        this.#run(chains, line);
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        throw new RefusedError(`line ${index + 1}, "${line}": ${error.message}`);
      }
    }
    for (const name of chains.keys()) refuseLoop(chains, [name]);
    this.#chains = chains;
  }

  #run(chains: Chains, line: string): void {
    const declared = /^:(\S+) - \[0:0\]$/.exec(line)?.[1];
    if (declared !== undefined) {
      if (!chains.has(declared)) makeChain(chains, declared);
      // What is there already is emptied.
      else if (BUILT_IN.includes(declared)) throw new RefusedError('a chain of the kernel needs a policy');
      else chains.set(declared, []);
      return;
    }
    const [, verb = '', name = '', rule = ''] = /^-([A-Z]) (\S+)(?: (.+))?$/.exec(line) ?? [];
    const change = CHANGES[verb];
    if (change === undefined) throw new RefusedError('unknown command');
    if (change.takesRule !== (rule !== '')) throw new RefusedError('a rule is missing, or one too much');
    if (verb === 'A' || verb === 'I') this.#check(chains, rule);
    change.run(chains, { name, rule });
  }

  #check(chains: Chains, rule: string): void {
    const [, how, target = ''] =
      / ?-([jg]) (\S+)(?: --\S+ \S+| --add-set \S+ \S+(?: --exist)? --timeout \d+| --nflog-prefix "[^"]{1,63}"(?: --nflog-group \d+)? --nflog-size \d+)?$/.exec(
        rule,
      ) ?? [];
    if (how === undefined) throw new RefusedError('the rule has no target at its end');
    const isTarget = how === 'j' && TARGETS.includes(target);
    if (!isTarget && (BUILT_IN.includes(target) || !chains.has(target))) throw new RefusedError(`no chain "${target}"`);
    for (const set of setsOf(rule)) if (!this.#hasSet(set)) throw new RefusedError(`no set "${set}"`);
  }
}

interface Change {
  readonly takesRule: boolean;
  run(chains: Chains, what: { readonly name: string; readonly rule: string }): void;
}

const CHANGES: Readonly<Record<string, Change>> = {
  N: {
    takesRule: false,
    run: (chains, { name }) => {
      if (chains.has(name)) throw new RefusedError('the chain exists already');
      makeChain(chains, name);
    },
  },
  F: { takesRule: false, run: (chains, { name }) => void chainNamed(chains, name).splice(0) },
  X: {
    takesRule: false,
    run: (chains, { name }) => {
      if (BUILT_IN.includes(name)) throw new RefusedError('the chain is the kernel’s own');
      if (chainNamed(chains, name).length > 0) throw new RefusedError('the chain is not empty');
      const user = [...chains].find(([, rules]) => rules.some((rule) => leadsTo(rule) === name));
      if (user !== undefined) throw new RefusedError(`chain "${user[0]}" leads to it`);
      chains.delete(name);
    },
  },
  A: { takesRule: true, run: (chains, { name, rule }) => void chainNamed(chains, name).push(rule) },
  I: { takesRule: true, run: (chains, { name, rule }) => void chainNamed(chains, name).unshift(rule) },
  D: {
    takesRule: true,
    run: (chains, { name, rule }) => {
      const rules = chainNamed(chains, name);
      const index = rules.indexOf(rule);
      if (index === -1) throw new RefusedError('no such rule in the chain');
      rules.splice(index, 1);
    },
  },
};

/** Returns the chain that a rule leads to, or `undefined`. */
function leadsTo(rule: string): string | undefined {
  const target = /-[jg] (\S+)$/.exec(rule)?.[1];
  return target === undefined || TARGETS.includes(target) ? undefined : target;
}

function makeChain(chains: Chains, name: string): void {
  if (name.length > MAX_NAME) throw new RefusedError(`the name is longer than ${MAX_NAME}`);
  chains.set(name, []);
}

function chainNamed(chains: Chains, name: string): string[] {
  const rules = chains.get(name);
  if (rules === undefined) throw new RefusedError(`no chain "${name}"`);
  return rules;
}

function setsOf(rule: string): readonly string[] {
  return [...rule.matchAll(/--(?:match|add)-set (\S+)/g)].map(([, name = '']) => name);
}

function refuseLoop(chains: Chains, path: readonly string[]): void {
  for (const next of new Set(chains.get(path.at(-1) ?? '')?.flatMap((rule) => leadsTo(rule) ?? []))) {
    if (path.includes(next)) throw new RefusedError(`the chains go in a circle: ${[...path, next].join(' → ')}`);
    refuseLoop(chains, [...path, next]);
  }
}

function copyOf(chains: ReadonlyMap<string, readonly string[]>): Chains {
  return new Map([...chains].map(([name, rules]) => [name, [...rules]]));
}
