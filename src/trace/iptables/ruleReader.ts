import type { IpFamily } from '../../net/family.ts';
import {
  addressMatch,
  interfaceMatch,
  MATCH_MODULES,
  parseMark,
  protocolMatch,
  type Match,
  type OptionUse,
  type RuleContext,
} from './ruleMatches.ts';
import { hasFlow, type Packet } from '../packet.ts';
import type { RuleEnd, Target } from '../walk.ts';

/** A rule that was understood. */
export interface TracedRule {
  /** The rule's line, for people. */
  readonly text: string;
  readonly matches: readonly Match[];
  readonly target: Target | MarkTarget | NoteTarget;
}

/** The flow's mark becomes (mark & ~mask) ^ value. */
interface MarkTarget {
  readonly kind: 'connmark';
  readonly value: number;
  readonly mask: number;
}

/** The packet is noted in a set or logged, which nothing hangs on that is followed. */
interface NoteTarget {
  readonly kind: 'note';
}

/** What a rule is read for. */
export interface RuleTable {
  readonly family: IpFamily;
  readonly sets: RuleContext['sets'];
}

/**
 * Reads a rule as `iptables -S` prints it. Throws an `Error` for every word that it does not know: a rule that is not understood must never be
 * skipped.
 */
export function readRule(text: string, table: RuleTable): TracedRule {
  return new RuleReader(wordsOf(text), table).read(text);
}

/** Returns what a rule makes of a packet, `undefined` if it does not match. */
export function runRule({ matches, target }: TracedRule, packet: Packet): RuleEnd | undefined {
  if (!matches.every((match) => match(packet))) return undefined;
  if (target.kind === 'note') return { target: GO_ON, packet };
  if (target.kind !== 'connmark') return { target, packet };
  const connmark = ((packet.connmark & ~target.mask) ^ target.value) >>> 0;
  return { target: GO_ON, packet: hasFlow(packet) ? { ...packet, connmark } : packet };
}

const GO_ON: Target = { kind: 'continue' };

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
  readonly #table: RuleTable;
  readonly #matches: Match[] = [];
  readonly #seen = new Set<string>();
  #at = 0;
  #protocol: string | undefined;
  #target: TracedRule['target'] | undefined;

  constructor(words: readonly string[], table: RuleTable) {
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

  #readTarget(option: '-j' | '-g'): TracedRule['target'] {
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
        return this.#readSet();
      case 'NFLOG':
        return this.#readLog() ?? { kind: 'jump', chain: name };
      default:
        return { kind: 'jump', chain: name };
    }
  }

  #readSet(): NoteTarget {
    this.#expect('--add-set');
    this.#next();
    this.#next();
    while (this.#take('--exist') || (this.#take('--timeout') && this.#next() !== ''));
    return { kind: 'note' };
  }

  /** Returns `undefined` for a log without a prefix: it is not of ours. */
  #readLog(): NoteTarget | undefined {
    if (!this.#take('--nflog-prefix')) return undefined;
    this.#next();
    while (this.#take('--nflog-group') || this.#take('--nflog-size')) this.#next();
    return { kind: 'note' };
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
