import type { Command, Named, Place, SetKind, WrittenElement } from './nftCommand.ts';
import type { BaseHook, HookName } from './nftModel.ts';
import { commentOf, nameOf } from './nftNames.ts';
import { priorityOf } from './nftPriorities.ts';
import type { TableFamily } from './nftRule.ts';
import { readRule, readVerdict } from './nftRuleReader.ts';
import type { NftReader } from './nftTokens.ts';
import { TYPES, type TypeName } from './nftTypes.ts';
import { RefusedError } from './restoreTable.ts';

/** Reads the family and name of a table. */
export function readPlace(reader: NftReader): Place {
  const family = reader.word();
  if (family !== 'inet' && family !== 'bridge')
    throw new Error(`Cannot read nft text: line ${reader.line}, unknown family "${family}"`);
  return { family, table: nameOf(reader.word()) };
}

/** Reads the place and name of something in a table. */
export function readNamed(reader: NftReader): Named {
  return { ...readPlace(reader), name: nameOf(reader.word()) };
}

/** Reads a table behind the word `table`. Of its block, nft makes the chains first, then sets and maps, and fills both last. */
export function readTable(
  reader: NftReader,
  { line, create }: { readonly line: number; readonly create: boolean },
): readonly Command[] {
  const at = readPlace(reader);
  let comment: string | undefined;
  const inside: Command[] = [];
  if (reader.take('{')) {
    for (reader.skipSeparators(); !reader.take('}'); reader.endLine()) {
      const within = { line: reader.line, create: false };
      const word = reader.word();
      if (word === 'comment') comment = commentOf(reader.string());
      else if (word === 'chain')
        inside.push(...readChain(reader, { ...within, at: { ...at, name: nameOf(reader.word()) } }));
      else if (word === 'set' || word === 'map')
        inside.push(...readSet(reader, { ...within, at: { ...at, name: nameOf(reader.word()) }, kind: word }));
      else throw new Error(`Cannot read nft text: line ${within.line}, unknown word "${word}"`);
    }
  }
  const ofKind = (...kinds: readonly Command['kind'][]) => inside.filter(({ kind }) => kinds.includes(kind));
  return [
    { line, kind: 'table', create, at, comment },
    ...ofKind('chain'),
    ...ofKind('set'),
    ...ofKind('rule', 'elements'),
  ];
}

interface NewChain {
  readonly line: number;
  readonly create: boolean;
  readonly at: Named;
}

/** Reads a chain behind its name: itself and, after it, its rules. */
export function readChain(reader: NftReader, { line, create, at }: NewChain): readonly Command[] {
  let comment: string | undefined;
  let hook: Omit<BaseHook, 'policy'> | undefined;
  let policy: 'accept' | 'drop' | undefined;
  const rules: Command[] = [];
  if (reader.take('{')) {
    for (reader.skipSeparators(); !reader.take('}'); reader.endLine()) {
      const inLine = reader.line;
      if (reader.take('comment')) comment = onceOnly(comment, commentOf(reader.string()));
      else if (reader.take('type')) hook = readHook(reader, at.family);
      else if (reader.take('policy')) policy = readPolicy(reader);
      else rules.push({ line: inLine, kind: 'rule', where: 'end', at, rule: readRule(reader, at.family) });
    }
  }
  const base = hook && { ...hook, policy: policy ?? 'accept' };
  return [{ line, kind: 'chain', create, at, made: { comment, base, policy } }, ...rules];
}

const HOOKS: readonly string[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'] satisfies HookName[];

function readHook(reader: NftReader, family: TableFamily): Omit<BaseHook, 'policy'> {
  reader.expect('filter');
  reader.expect('hook');
  const hook = reader.word();
  if (!isHook(hook)) throw new Error(`Cannot read nft text: line ${reader.line}, unknown hook "${hook}"`);
  reader.expect('priority');
  const start = priorityOf(reader.word(), { family, hook });
  const sign = reader.take('+') ? 1 : reader.take('-') ? -1 : 0;
  const offset = sign === 0 ? readSignedOffset(reader) : sign * Number(reader.word());
  if (!Number.isInteger(offset)) throw new Error(`Cannot read nft text: line ${reader.line}, the priority`);
  return { hook, priority: start + offset };
}

function readSignedOffset(reader: NftReader): number {
  return reader.isAtSeparator || reader.peek() === '}' ? 0 : Number(reader.word());
}

function isHook(text: string): text is HookName {
  return HOOKS.includes(text);
}

function readPolicy(reader: NftReader): 'accept' | 'drop' {
  const policy = reader.word();
  if (policy !== 'accept' && policy !== 'drop') throw new Error(`Cannot read nft text: unknown policy "${policy}"`);
  return policy;
}

function onceOnly(before: string | undefined, comment: string): string {
  if (before !== undefined) throw new RefusedError('You can only specify this once. This statement is duplicated.');
  return comment;
}

/** Reads a set or map behind its name: itself and, after it, its elements. */
export function readSet(
  reader: NftReader,
  { kind, ...made }: NewChain & { readonly kind: SetKind },
): readonly Command[] {
  const { line, create, at } = made;
  let comment: string | undefined;
  let types: readonly TypeName[] | undefined;
  let interval = false;
  let [size, timeout, dynamic] = ['', '', false];
  const elements: WrittenElement[] = [];
  if (!reader.take('{')) throw new RefusedError("syntax error, expecting '{'");
  reader.skipSeparators();
  while (!reader.take('}')) {
    // Behind elements alone, nft wants no line to end.
    if (reader.take('elements', '=')) {
      elements.push(...readElements(reader));
      reader.skipSeparators();
      continue;
    }
    if (reader.take('comment')) comment = onceOnly(comment, commentOf(reader.string()));
    else if (reader.take('type')) types = readTypes(reader, kind);
    else if (reader.take('flags', 'interval')) interval = true;
    else if (reader.take('flags', 'dynamic', ',', 'timeout')) dynamic = true;
    else if (reader.take('size')) size = reader.word();
    else if (reader.take('timeout')) timeout = reader.word();
    else throw new Error(`Cannot read nft text: line ${reader.line}, unknown word "${reader.next().text}"`);
    reader.endLine();
  }
  if (types === undefined) throw new RefusedError('set definition does not specify key');
  if (interval && (types.length > 1 || types[0] === 'ifname' || kind === 'map'))
    throw new Error('Cannot read nft text: intervals other than of one number');
  if (dynamic !== (size !== '') || dynamic !== (timeout !== ''))
    throw new Error('Cannot read nft text: a set that packets fill has a size and a timeout');
  const filled = dynamic ? { size, timeout } : undefined;
  const set: Command = { line, kind: 'set', create, at, made: { kind, types, interval, filled, comment } };
  return elements.length === 0 ? [set] : [set, { line, kind: 'elements', verb: 'add', at, elements }];
}

const SET_TYPES: readonly string[] = ['ipv4_addr', 'ipv6_addr', 'ifname', 'inet_service', 'inet_proto', 'icmpv6_type'];

function readTypes(reader: NftReader, kind: SetKind): readonly TypeName[] {
  const types: TypeName[] = [];
  do {
    const word = reader.word();
    if (!isType(word)) throw new Error(`Cannot read nft text: line ${reader.line}, unknown type "${word}"`);
    types.push(word);
  } while (reader.take('.'));
  const isMap = reader.take(':');
  if (isMap) reader.expect('verdict');
  if (isMap !== (kind === 'map')) throw new RefusedError(`syntax error, the type of a ${kind}`);
  return types;
}

function isType(text: string): text is TypeName {
  return text in TYPES && SET_TYPES.includes(text);
}

/** Reads `{ a, b }`. */
export function readElements(reader: NftReader): readonly WrittenElement[] {
  const elements: WrittenElement[] = [];
  reader.expect('{');
  do {
    reader.skipLines();
    if (elements.length > 0 && reader.peek() === '}') break;
    elements.push(readElement(reader));
    reader.skipLines();
  } while (reader.take(','));
  if (!reader.take('}')) throw new RefusedError("syntax error, expecting comma or '}'");
  return elements;
}

function readElement(reader: NftReader): WrittenElement {
  if (reader.peek() === '}') throw new RefusedError("syntax error, unexpected '}'");
  const key = [reader.next()];
  while (reader.take('.')) key.push(reader.next());
  const comment = reader.take('comment') ? commentOf(reader.string()) : undefined;
  return { key, comment, verdict: reader.take(':') ? readVerdict(reader) : undefined };
}
