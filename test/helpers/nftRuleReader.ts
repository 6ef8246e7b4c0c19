import { L4PROTO, readField, readFieldOrNumber, type Field } from './nftFields.ts';
import { commentOf, nameOf } from './nftNames.ts';
import { KnownProtocols } from './nftProtocols.ts';
import type {
  Key,
  MatchStatement,
  Rule,
  Statement,
  TableFamily,
  Verdict,
  VmapElement,
  VmapStatement,
  Wanted,
} from './nftRule.ts';
import type { NftReader } from './nftTokens.ts';
import { sortedKeys } from './nftKeys.ts';
import { asElement, parseRange, TYPES, type KeyRange, type TypeName } from './nftTypes.ts';
import { RefusedError } from './restoreTable.ts';

/**
 * Reads a rule to the end of its line. Throws a RefusedError for what nft is known to refuse, an `Error` for every word that this reader does not know.
 */
export function readRule(reader: NftReader, family: TableFamily): Rule {
  return new RuleReader(reader, family).read();
}

/** Reads a verdict. */
export function readVerdict(reader: NftReader): Verdict {
  const word = reader.word();
  switch (word) {
    case 'accept':
    case 'drop':
    case 'return':
    case 'continue':
      return { kind: word };
    case 'jump':
    case 'goto':
      return { kind: word, chain: nameOf(reader.word()) };
    default:
      throw new Error(`Cannot read nft text: line ${reader.line}, unknown verdict "${word}"`);
  }
}

const VERDICTS = ['accept', 'drop', 'return', 'continue', 'jump', 'goto'];
const ALL_BITS = 0xffffffffn;
const TCP = 6n;
// nft puts this at the start of a rule that does not ask for it.
const IS_TCP: Statement = {
  kind: 'match',
  fields: [L4PROTO],
  dependencies: [],
  negated: false,
  wanted: { kind: 'value', range: { from: TCP, to: TCP, form: 'value' } },
};
const ANSWERS: Readonly<Record<string, 'icmpx' | 'icmp' | 'icmpv6'>> = {
  'icmpx port-unreachable': 'icmpx',
  'icmp port-unreachable': 'icmp',
  'icmpv6 port-unreachable': 'icmpv6',
};

class RuleReader {
  readonly #reader: NftReader;
  readonly #protocols: KnownProtocols;
  readonly #statements: Statement[] = [];

  constructor(reader: NftReader, family: TableFamily) {
    this.#reader = reader;
    this.#protocols = new KnownProtocols(family);
  }

  read(): Rule {
    let comment: string | undefined;
    while (!this.#isAtEnd()) {
      if (this.#reader.peek() === 'comment' && this.#statements.length === 0) break;
      if (this.#reader.take('comment')) comment = commentOf(this.#reader.string());
      else if (comment !== undefined) throw new RefusedError('syntax error, a statement after the comment');
      else this.#statements.push(this.#readStatement());
    }
    if (this.#statements.length === 0) throw new RefusedError('syntax error, a rule without a statement');
    return { statements: this.#statements, comment };
  }

  #isAtEnd(): boolean {
    return this.#reader.isAtSeparator || this.#reader.peek() === '}';
  }

  #readStatement(): Statement {
    const last = this.#statements.at(-1);
    const isTerminal = last?.kind === 'reject' || (last?.kind === 'verdict' && last.verdict.kind !== 'continue');
    if (isTerminal) throw new RefusedError('Statement after terminal statement has no effect');
    if (VERDICTS.includes(this.#reader.peek() ?? '')) return { kind: 'verdict', verdict: readVerdict(this.#reader) };
    if (this.#reader.take('reject')) return this.#readReject();
    if (this.#reader.take('ct', 'mark', 'set')) return this.#readSetMark();
    if (this.#reader.take('add')) return this.#readRecord('add');
    if (this.#reader.take('update')) return this.#readRecord('update');
    return this.#readMatch();
  }

  #readRecord(verb: 'add' | 'update'): Statement {
    const set = this.#readSetName();
    this.#reader.expect('{');
    const fields = [readFieldOrNumber(this.#reader)];
    while (this.#reader.take('.')) fields.push(readFieldOrNumber(this.#reader));
    const dependencies = fields.flatMap((field) => this.#protocols.ask(field));
    const counter = this.#reader.take('counter');
    this.#reader.expect('}');
    return { kind: 'record', verb, set, fields, dependencies, counter };
  }

  #readReject(): Statement {
    const answer = this.#readAnswer();
    if (
      answer === 'tcp reset' &&
      this.#protocols.askTransport(TCP, 'you cannot use tcp reset with this protocol').length > 0
    )
      this.#statements.unshift(IS_TCP);
    const network = answer === 'icmp' ? 'ip' : answer === 'icmpv6' ? 'ip6' : undefined;
    return { kind: 'reject', answer, dependencies: network === undefined ? [] : this.#protocols.askNetwork(network) };
  }

  #readAnswer(): 'icmpx' | 'icmp' | 'icmpv6' | 'tcp reset' {
    // Without more, nft answers as the family that the rule names.
    if (!this.#reader.take('with')) {
      const { network } = this.#protocols;
      return network === 'ip' ? 'icmp' : network === 'ip6' ? 'icmpv6' : 'icmpx';
    }
    if (this.#reader.take('tcp', 'reset')) return 'tcp reset';
    const protocol = this.#reader.word();
    if (this.#reader.peek() === 'type') this.#reader.next();
    const reason = this.#reader.word();
    const answer = ANSWERS[`${protocol} ${reason}`];
    if (answer === undefined) throw new Error(`Cannot read nft text: unknown answer "${protocol} ${reason}"`);
    return answer;
  }

  #readSetMark(): Statement {
    if (!this.#reader.take('ct', 'mark')) return { kind: 'setMark', mask: 0n, value: this.#readMark() };
    const mask = this.#reader.take('&') || this.#reader.take('and') ? this.#readMark() : ALL_BITS;
    const value = this.#reader.take('|') || this.#reader.take('or') ? this.#readMark() : 0n;
    return { kind: 'setMark', mask: mask & ~value & ALL_BITS, value };
  }

  #readMark(): bigint {
    return parseRange('mark', this.#reader.next()).from;
  }

  #readMatch(): Statement {
    const fields = [readField(this.#reader)];
    while (this.#reader.take('.')) fields.push(readField(this.#reader));
    const dependencies = fields.flatMap((field) => this.#protocols.ask(field));
    if (this.#reader.take('vmap')) return { kind: 'vmap', fields, dependencies, map: this.#readMap(fields) };
    const isMasked = fields[0]?.name === 'ct mark' && (this.#reader.take('&') || this.#reader.take('and'));
    const mask = isMasked ? this.#readMark() : undefined;
    const negated = this.#reader.take('!=');
    if (!negated) this.#reader.take('==');
    const wanted: Wanted =
      mask === undefined ? this.#readWanted(fields, negated) : { kind: 'masked', mask, value: this.#readMark() };
    const match: MatchStatement = { kind: 'match', fields, dependencies, negated, wanted };
    this.#protocols.learn(match);
    return match;
  }

  #readWanted(fields: readonly Field[], negated: boolean): Wanted {
    const [field] = fields;
    if (field === undefined) throw new Error('Cannot read nft text: a match of nothing');
    if (this.#reader.peek()?.startsWith('@') === true) return { kind: 'set', name: this.#readSetName() };
    // The kernel holds more of a flow's status than packets of the tests do.
    if (field.type === 'ct_status' && (negated || this.#reader.peek() === '{'))
      throw new Error('Cannot read nft text: "ct status" that is to be exactly something');
    if (this.#reader.take('{')) return anonymousSet(fields, this.#readKeys(fields));
    if (fields.length > 1) throw new RefusedError('Use concatenations with sets and maps, not singleton values');
    if (field.type === 'mark' && this.#isPrefix()) return maskedByPrefix(this.#reader.word());
    return this.#readValue(field, negated);
  }

  #readValue({ type }: Field, negated: boolean): Wanted {
    const range = parseRange(type, this.#reader.next());
    if (!TYPES[type].flags || negated) return { kind: 'value', range };
    let bits = range.from;
    while (this.#reader.take(',')) bits |= parseRange(type, this.#reader.next()).from;
    return { kind: 'flags', bits };
  }

  #readKeys(fields: readonly Field[]): readonly Key[] {
    const keys: Key[] = [];
    do {
      this.#reader.skipLines();
      if (this.#reader.peek() === '}') break;
      keys.push(readKey(this.#reader, typesOf(fields)));
      this.#reader.skipLines();
    } while (this.#reader.take(','));
    this.#reader.expect('}');
    if (keys.length === 0) throw new RefusedError("syntax error, unexpected '}'");
    return keys;
  }

  #readMap(fields: readonly Field[]): VmapStatement['map'] {
    if (!this.#reader.take('{')) return this.#readSetName();
    const elements: VmapElement[] = [];
    do {
      const key = readKey(this.#reader, typesOf(fields));
      this.#reader.expect(':');
      elements.push({ key, verdict: readVerdict(this.#reader) });
    } while (this.#reader.take(','));
    this.#reader.expect('}');
    return sortedElements(fields, elements);
  }

  #isPrefix(): boolean {
    return this.#reader.peek()?.includes('/') === true;
  }

  #readSetName(): string {
    const word = this.#reader.word();
    if (!word.startsWith('@')) throw new Error(`Cannot read nft text: "${word}" where a set is expected`);
    return nameOf(word.slice(1));
  }
}

/** Reads one key of a set. */
function readKey(reader: NftReader, types: readonly TypeName[]): Key {
  return types.map((type, index) => {
    if (index > 0 && !reader.take('.')) throw new RefusedError('datatype mismatch, expected a concatenation');
    return parseRange(type, reader.next());
  });
}

function typesOf(fields: readonly Field[]): readonly TypeName[] {
  return fields.map(({ type }) => type);
}

function maskedByPrefix(text: string): Wanted {
  const [value = '', length = ''] = text.split('/');
  if (!/^\d+$/.test(length) || Number(length) > 32) throw new RefusedError(`Prefix length ${length} is invalid`);
  const mask = (ALL_BITS << BigInt(32 - Number(length))) & ALL_BITS;
  return { kind: 'masked', mask, value: parseRange('mark', { text: value }).from & mask };
}

/** Returns what nft makes of `{ a, b }`: of one key none, and no two intervals that touch. */
function anonymousSet(fields: readonly Field[], keys: readonly Key[]): Wanted {
  const [first] = keys;
  const [field] = fields;
  if (fields.length > 1) return { kind: 'anonymous', keys: sortedKeys(typesOf(fields), keys) };
  if (keys.length === 1 && first?.[0] !== undefined && field !== undefined) {
    if (TYPES[field.type].flags) throw new Error('Cannot read nft text: a set of one flag');
    return { kind: 'value', range: first[0] };
  }
  const ranges = keys.flatMap((key) => key);
  const merged = ranges.some(({ form }) => form !== 'value') ? mergedRanges(ranges) : ranges;
  return {
    kind: 'anonymous',
    keys: sortedKeys(
      typesOf(fields),
      merged.map((range) => [asElement(field?.type ?? 'mark', range)]),
    ),
  };
}

/** Returns what nft makes of a map that is written in a rule: in order, what touches not as one. */
function sortedElements(fields: readonly Field[], elements: readonly VmapElement[]): readonly VmapElement[] {
  if (fields.length > 1) throw new Error('Cannot read nft text: a map of concatenations in a rule');
  const sorted = elements.toSorted((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
  if (sorted.some((element, index) => index > 0 && startOf(element) <= endOf(sorted[index - 1])))
    throw new RefusedError('conflicting intervals specified');
  return sorted;
}

function startOf({ key }: VmapElement): bigint {
  return key[0]?.from ?? 0n;
}

function endOf(element: VmapElement | undefined): bigint {
  return element?.key[0]?.to ?? -1n;
}

function mergedRanges(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const merged: KeyRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.from > last.to + 1n) merged.push(range);
    else merged[merged.length - 1] = { ...last, to: last.to > range.to ? last.to : range.to };
  }
  return merged;
}
