import { verdictOf, type NftRule, type NftTable } from '../../rules/nftables/table.ts';
import type { Packet } from '../packet.ts';
import type { RuleEnd, Target } from '../walk.ts';
import { FIELDS, type PacketView } from './fields.ts';
import { areValues, elementOf, numberOf, type Value } from './values.ts';

/**
 * Returns what a rule, as `nft list table` prints it, makes of a packet; `undefined` if it does not match. Like the kernel it goes from left to right
 * and no further than the first match that fails. Throws an `Error` for whatever it comes to and does not understand.
 */
export function runNftRule(
  rule: NftRule,
  { table, view }: { readonly table: NftTable; readonly view: PacketView },
): RuleEnd | undefined {
  return new RuleRun(rule, { table, view }).run();
}

const WORD = /"[^"]*"|[{},]|[^\s{},"]+/g;
const LIMITED_LOG = /^limit rate \S+ burst \d+ packets log prefix "[^"]*" group \d+ snaplen \d+$/;
const ALL_BITS = 0xffffffff;

type Conditions = Parameters<typeof runNftRule>[1];

class RuleRun {
  readonly #words: readonly string[];
  readonly #table: NftTable;
  readonly #view: PacketView;
  #packet: Packet;
  #at = 0;

  constructor(rule: NftRule, { table, view }: Conditions) {
    this.#words = rule.match(WORD) ?? [];
    this.#table = table;
    this.#view = view;
    this.#packet = view.packet;
  }

  run(): RuleEnd | undefined {
    while (this.#at < this.#words.length) {
      const target = this.#statement();
      if (target === 'none') return undefined;
      if (target !== 'more' && target.kind !== 'continue') return { target, packet: this.#packet };
    }
    return { target: { kind: 'continue' }, packet: this.#packet };
  }

  /** Runs one statement: `none` where it does not match, `more` where the next has its say. */
  #statement(): Target | 'none' | 'more' {
    switch (this.#words[this.#at] ?? '') {
      case 'comment':
        this.#at += 2;
        return 'more';
      case 'counter':
        this.#at += this.#words[this.#at + 1] === 'packets' ? 5 : 1;
        return 'more';
      case 'add':
      case 'update':
        return this.#note();
      case 'limit':
        return this.#log();
      case 'reject':
        return this.#reject();
      case 'accept':
      case 'drop':
      case 'return':
      case 'continue':
      case 'jump':
      case 'goto':
        return this.#verdict();
      default:
        if (!this.#take('ct', 'mark', 'set')) return this.#match();
        this.#setMark();
        return 'more';
    }
  }

  /**
   * What is noted in a set changes nothing that is followed. But a packet without one of the fields gets no further, and nft does not print a match
   * that only says that it has them.
   */
  #note(): 'none' | 'more' {
    this.#at += 2;
    const at = this.#at;
    this.#block();
    const end = this.#at;
    if (this.#words[end] === undefined || this.#words[end] === 'comment') return 'more';
    this.#at = at + 1;
    const values = this.#values();
    this.#at = end;
    return values === undefined ? 'none' : 'more';
  }

  /** How many are logged changes nothing that is followed, as long as nothing else hangs on it. */
  #log(): 'more' {
    if (!LIMITED_LOG.test(this.#words.slice(this.#at).join(' '))) throw this.#unknown();
    this.#at = this.#words.length;
    return 'more';
  }

  /** An answer of one protocol is for packets of that protocol alone. */
  #reject(): Target | 'none' {
    this.#at += 1;
    const { family, protocol } = this.#packet;
    const isMeant =
      (!this.#take('with', 'tcp') || protocol === 'tcp') &&
      (!this.#take('with', 'icmp') || family === 'ipv4') &&
      (!this.#take('with', 'icmpv6') || family === 'ipv6');
    return isMeant ? { kind: 'reject' } : 'none';
  }

  #verdict(): Target {
    const kind = this.#next();
    switch (kind) {
      case 'accept':
      case 'drop':
      case 'return':
      case 'continue':
        return { kind };
      case 'jump':
      case 'goto':
        return { kind, chain: this.#next() };
      default:
        throw new Error(`"${kind}" is no verdict that is known`);
    }
  }

  /** `ct mark set ct mark & A | B`, or a part of it: the mark becomes (mark & A) | B. */
  #setMark(): void {
    let mark = 0;
    if (this.#take('ct', 'mark')) {
      mark = this.#packet.connmark & (this.#take('&') ? numberOf(this.#next()) : ALL_BITS);
      if (this.#take('|')) mark |= numberOf(this.#next());
    } else mark = numberOf(this.#next());
    this.#packet = { ...this.#packet, connmark: mark >>> 0 };
  }

  #match(): Target | 'none' | 'more' {
    const values = this.#values();
    // What the packet does not have is not something else either.
    if (values === undefined) return 'none';
    if (this.#take('vmap')) {
      const verdict = this.#take('{') ? this.#foundInRule(values) : this.#foundInMap(values);
      return verdict === undefined ? 'none' : verdictTarget(verdict);
    }
    const mask = this.#take('&') ? numberOf(this.#next()) : undefined;
    const isNegated = this.#take('!=');
    this.#take('==');
    const isFound = mask === undefined ? this.#isWanted(values) : this.#isMasked(values, mask);
    return isFound === isNegated ? 'none' : 'more';
  }

  /** Returns what the packet has in the fields before an operator, `undefined` if it lacks one. */
  #values(): readonly Value[] | undefined {
    const values: Value[] = [];
    do {
      const value = this.#value();
      if (value === undefined) return undefined;
      values.push(value);
    } while (this.#take('.'));
    return values;
  }

  #value(): Value | undefined {
    for (const length of [3, 2, 1]) {
      const words = this.#words.slice(this.#at, this.#at + length);
      const field = FIELDS.get(words.join(' '));
      if (field === undefined) continue;
      this.#at += length;
      const text = field.read({ ...this.#view, packet: this.#packet });
      return text === undefined ? undefined : { kind: field.kind, text };
    }
    throw this.#unknown();
  }

  #unknown(): Error {
    return new Error(`"${this.#words.slice(this.#at, this.#at + 3).join(' ')}" is not known`);
  }

  #isWanted(values: readonly Value[]): boolean {
    if (this.#take('{')) return this.#keys().some((key) => areValues(values, key));
    const text = this.#next();
    if (text.startsWith('@')) return elementOf(this.#set(text), values) !== undefined;
    const wanted = [text];
    while (this.#take(',')) wanted.push(this.#next());
    return wanted.some((one) => areValues(values, one));
  }

  #isMasked([value]: readonly Value[], mask: number): boolean {
    return value !== undefined && (numberOf(value.text) & mask) >>> 0 === numberOf(this.#next());
  }

  /** Returns the keys of `{ a, b }`. */
  #keys(): readonly string[] {
    return this.#block()
      .join(' ')
      .split(',')
      .map((key) => key.trim());
  }

  /** Returns the verdict of `{ a : goto x, b : goto y }` for the values. */
  #foundInRule(values: readonly Value[]): string | undefined {
    const elements = this.#keys().map((element) => element.split(' : '));
    return elements.find(([key = '']) => areValues(values, key))?.[1];
  }

  #foundInMap(values: readonly Value[]): string | undefined {
    const rest = elementOf(this.#set(this.#next()), values);
    return rest === undefined ? undefined : verdictOf(rest);
  }

  #set(reference: string) {
    const set = reference.startsWith('@') ? this.#table.sets.get(reference.slice(1)) : undefined;
    if (set === undefined) throw new Error(`there is no set "${reference}"`);
    return set;
  }

  /** Returns the words behind a `{`, which may have been taken, and moves behind its `}`. */
  #block(): readonly string[] {
    this.#take('{');
    const end = this.#words.indexOf('}', this.#at);
    if (end < 0) throw new Error('"}" is missing');
    const words = this.#words.slice(this.#at, end);
    this.#at = end + 1;
    return words;
  }

  #next(): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw new Error('the rule ends too early');
    this.#at += 1;
    return word;
  }

  #take(...words: readonly string[]): boolean {
    const areThere = words.every((word, index) => this.#words[this.#at + index] === word);
    if (areThere) this.#at += words.length;
    return areThere;
  }
}

function verdictTarget(text: string): Target {
  const [kind = '', chain] = text.trim().split(' ');
  if ((kind === 'jump' || kind === 'goto') && chain !== undefined) return { kind, chain };
  if (kind === 'accept' || kind === 'drop' || kind === 'return' || kind === 'continue') return { kind };
  throw new Error(`"${text}" is no verdict that is known`);
}
