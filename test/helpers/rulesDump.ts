import type { IpFamily } from '../../src/net/family.ts';
import type { IpSet } from './ipsetDump.ts';
import {
  addressMatch,
  interfaceMatch,
  MATCH_MODULES,
  parseMark,
  protocolMatch,
  type Match,
  type OptionUse,
} from './ruleMatches.ts';

export type Target =
  | { readonly kind: 'accept' | 'drop' | 'reject' | 'return' }
  /** The packet goes on; what a set then holds changes the way of no packet. */
  | { readonly kind: 'addToSet'; readonly set: string }
  | { readonly kind: 'connmark'; readonly value: number; readonly mask: number }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface TracedRule {
  /** The rule's line, for people. */
  readonly text: string;
  readonly matches: readonly Match[];
  readonly target: Target;
}

export interface TracedChain {
  /** What happens at the end of a chain of the kernel's own; `undefined` for every other chain. */
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly TracedRule[];
}

interface GrowingChain extends TracedChain {
  readonly rules: TracedRule[];
}

interface Table {
  readonly family: IpFamily;
  readonly sets: ReadonlyMap<string, IpSet>;
}

/**
 * Returns the chains of `iptables-restore` or `iptables -S` text by name.
 * Throws an `Error` for whatever the kernel would refuse (jumps to chains that are not there, loops, names too long) and for every word that this
 * reader does not know: a rule that is not understood must never be skipped.
 */
export function parseRulesDump(text: string, table: Table): ReadonlyMap<string, TracedChain> {
  const chains = new Map<string, GrowingChain>();
  for (const [index, line] of text.split('\n').entries()) {
    try {
      parseLine(chains, line.trim(), table);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot trace: line ${index + 1} of the rules, "${line.trim()}": ${reason}`, { cause: error });
    }
  }
  for (const [name, chain] of chains) checkTargets(chains, name, chain);
  for (const name of chains.keys()) checkLoop(chains, [name]);
  return chains;
}

function parseLine(chains: Map<string, GrowingChain>, line: string, table: Table): void {
  if (line === '' || line.startsWith('#') || line === '*filter' || line === 'COMMIT') return;
  const [, declared, policy] =
    /^:(\S+) (-|ACCEPT|DROP)(?: \[\d+:\d+\])?$/.exec(line) ?? /^-P (\S+) (ACCEPT|DROP)$/.exec(line) ?? [];
  const added = declared ?? /^-N (\S+)$/.exec(line)?.[1];
  if (added !== undefined) declare(chains, added, policy);
  else if (line.startsWith('-A ')) append(chains, line, table);
  else throw new Error('unknown command');
}

const KERNEL_CHAINS = ['INPUT', 'FORWARD', 'OUTPUT'];
const MAX_NAME = 28;

function declare(chains: Map<string, GrowingChain>, name: string, policy = '-'): void {
  if (chains.has(name)) throw new Error(`chain "${name}" is declared twice`);
  if (name.length > MAX_NAME) throw new Error(`chain name "${name}" is longer than ${MAX_NAME}`);
  if (KERNEL_CHAINS.includes(name) !== (policy !== '-'))
    throw new Error(`chain "${name}" cannot have policy "${policy}"`);
  chains.set(name, { policy: policy === '-' ? undefined : policy === 'ACCEPT' ? 'accept' : 'drop', rules: [] });
}

function append(chains: ReadonlyMap<string, GrowingChain>, line: string, table: Table): void {
  const words = wordsOf(line);
  const chain = chains.get(words[1] ?? '');
  if (chain === undefined) throw new Error(`chain "${words[1]}" is not declared`);
  chain.rules.push(new RuleReader(words.slice(2), table).read(line));
}

/** Returns the words of a line; double quotes hold words together, a backslash within them takes the next character as it is. */
function wordsOf(line: string): readonly string[] {
  const word = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/y;
  const words: string[] = [];
  while (word.lastIndex < line.length) {
    const at = word.lastIndex;
    const [, quoted, plain] = word.exec(line) ?? [];
    if (quoted === undefined && plain === undefined)
      throw new Error(`cannot be split into words at "${line.slice(at)}"`);
    words.push(plain ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '');
  }
  return words;
}

/** Reads the words of one rule from left to right. */
class RuleReader {
  readonly #words: readonly string[];
  readonly #table: Table;
  readonly #matches: Match[] = [];
  readonly #seen = new Set<string>();
  #at = 0;
  #protocol: string | undefined;
  #target: Target | undefined;

  constructor(words: readonly string[], table: Table) {
    this.#words = words;
    this.#table = table;
  }

  read(text: string): TracedRule {
    while (this.#at < this.#words.length) this.#readOne(this.#take('!'));
    if (this.#target === undefined) throw new Error('the rule has no target');
    return { text, matches: this.#matches, target: this.#target };
  }

  #readOne(negated: boolean): void {
    const option = this.#next();
    if (negated && option !== '-s' && option !== '-d') throw new Error(`cannot read "!" before "${option}"`);
    if (this.#target !== undefined) throw new Error(`"${option}" stands after the target`);
    if (option !== '-m' && this.#seen.has(option)) throw new Error(`"${option}" is given twice`);
    this.#seen.add(option);
    if (option === '-j' || option === '-g') this.#target = this.#readTarget(option);
    else this.#matches.push(this.#readMatch(option, negated));
  }

  #readMatch(option: string, negated: boolean): Match {
    switch (option) {
      case '-s':
      case '-d':
        return addressMatch(option === '-s' ? 'source' : 'destination', {
          text: this.#next(),
          negated,
          family: this.#table.family,
        });
      case '-i':
      case '-o':
        return interfaceMatch(option === '-i' ? 'inInterface' : 'outInterface', this.#next());
      case '-p':
        this.#protocol = this.#next();
        return protocolMatch(this.#protocol);
      case '-m':
        return this.#readModule(this.#next());
      // `-p tcp` brings the match of its own name along.
      case '--dport':
        this.#at -= 1;
        return this.#readModule(this.#protocol ?? '');
      default:
        throw new Error(`unknown option "${option}"`);
    }
  }

  #readModule(name: string): Match {
    const module = MATCH_MODULES[name];
    if (module === undefined) throw new Error(`unknown match "${name}"`);
    const options = new Map<string, OptionUse>();
    for (;;) {
      const negated = this.#words[this.#at] === '!';
      const option = this.#words[this.#at + (negated ? 1 : 0)] ?? '';
      const shape = module.options[option];
      if (shape === undefined) return module.compile(options, { ...this.#table, protocol: this.#protocol });
      if (options.has(option) || (negated && !shape.negatable)) throw new Error(`cannot read this use of "${option}"`);
      this.#at += negated ? 2 : 1;
      options.set(option, { values: Array.from({ length: shape.values }, () => this.#next()), negated });
    }
  }

  #readTarget(option: '-j' | '-g'): Target {
    const name = this.#next();
    if (option === '-g') return { kind: 'goto', chain: name };
    switch (name) {
      case 'ACCEPT':
      case 'DROP':
      case 'RETURN':
        return { kind: name === 'ACCEPT' ? 'accept' : name === 'DROP' ? 'drop' : 'return' };
      case 'REJECT':
        return this.#readReject();
      case 'CONNMARK':
        this.#expect('--set-xmark');
        return { kind: 'connmark', ...parseMark(this.#next()) };
      case 'SET':
        return this.#readAddToSet();
      default:
        return { kind: 'jump', chain: name };
    }
  }

  #readAddToSet(): Target {
    this.#expect('--add-set');
    const name = this.#next();
    const set = this.#table.sets.get(name);
    const flags = this.#next();
    if (set?.family !== this.#table.family) throw new Error(`set "${name}" is not declared in this family`);
    if (flags.split(',').length !== set.dimensions) throw new Error(`"${flags}" does not fit set "${name}"`);
    this.#take('--exist');
    this.#expect('--timeout');
    if (!/^\d+$/.test(this.#next())) throw new Error('"--timeout" is no number');
    return { kind: 'addToSet', set: name };
  }

  #readReject(): Target {
    this.#expect('--reject-with');
    const answer = this.#next();
    if (answer === 'tcp-reset' && this.#protocol !== 'tcp') throw new Error('"tcp-reset" needs "-p tcp"');
    const unreachable = this.#table.family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
    if (answer !== 'tcp-reset' && answer !== unreachable) throw new Error(`unknown answer "${answer}"`);
    return { kind: 'reject' };
  }

  #next(): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw new Error('the rule ends too early');
    this.#at += 1;
    return word;
  }

  #take(word: string): boolean {
    const isThere = this.#words[this.#at] === word;
    if (isThere) this.#at += 1;
    return isThere;
  }

  #expect(word: string): void {
    if (!this.#take(word)) throw new Error(`"${word}" is missing`);
  }
}

function checkTargets(chains: ReadonlyMap<string, TracedChain>, name: string, { rules }: TracedChain): void {
  for (const { text, target } of rules) {
    if (target.kind !== 'jump' && target.kind !== 'goto') continue;
    const chain = chains.get(target.chain);
    if (chain === undefined || chain.policy !== undefined) {
      throw new Error(
        `Cannot trace: chain "${name}" leads to "${target.chain}", which is no declared chain: "${text}"`,
      );
    }
  }
}

function checkLoop(chains: ReadonlyMap<string, TracedChain>, path: readonly string[]): void {
  const next = new Set(
    chains.get(path.at(-1) ?? '')?.rules.flatMap(({ target }) => ('chain' in target ? [target.chain] : [])),
  );
  for (const chain of next) {
    if (path.includes(chain))
      throw new Error(`Cannot trace: the chains go in a circle: ${[...path, chain].join(' → ')}`);
    checkLoop(chains, [...path, chain]);
  }
}
