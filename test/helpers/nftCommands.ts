import { readChain, readElements, readNamed, readPlace, readSet, readTable } from './nftBlocks.ts';
import type { Command } from './nftCommand.ts';
import { readRule } from './nftRuleReader.ts';
import { NftReader } from './nftTokens.ts';
import { RefusedError } from './restoreTable.ts';

/**
 * Returns the commands of nft text, a listing or what `nft -f -` is given. Throws a RefusedError for what nft is known not to take, an `Error` for words
 * that this reader does not know.
 */
export function commandsOf(text: string): readonly Command[] {
  const reader = new NftReader(text);
  const commands: Command[] = [];
  for (reader.skipSeparators(); !reader.isAtEnd; reader.skipSeparators()) {
    const line = reader.line;
    try {
      commands.push(...readCommand(reader));
    } catch (error) {
      if (error instanceof RefusedError) throw new RefusedError(`line ${line}: Error: ${error.message}`);
      throw error;
    }
    if (!reader.isAtSeparator)
      throw new Error(`Cannot read nft text: line ${line}, "${reader.next().text}" after a command`);
  }
  return commands;
}

function readCommand(reader: NftReader): readonly Command[] {
  const line = reader.line;
  const verb = reader.word();
  switch (verb) {
    case 'table':
      return readTable(reader, { line, create: false });
    case 'add':
    case 'create':
    case 'insert':
      return readAddition(reader, { line, verb });
    case 'delete':
      return [{ line, ...readDeletion(reader) }];
    case 'flush':
      return [{ line, ...readFlush(reader) }];
    default:
      throw new Error(`Cannot read nft text: line ${line}, unknown command "${verb}"`);
  }
}

interface Addition {
  readonly line: number;
  readonly verb: 'add' | 'create' | 'insert';
}

function readAddition(reader: NftReader, { line, verb }: Addition): readonly Command[] {
  const what = reader.word();
  const create = verb === 'create';
  if (what === 'rule' && verb !== 'create') {
    const at = readNamed(reader);
    const rule = readRule(reader, at.family);
    return [{ line, kind: 'rule', where: verb === 'insert' ? 'start' : 'end', at, rule }];
  }
  if (verb === 'insert') throw new Error(`Cannot read nft text: line ${line}, "insert ${what}"`);
  switch (what) {
    case 'table':
      return readTable(reader, { line, create });
    case 'chain':
      return readChain(reader, { line, create, at: readNamed(reader) });
    case 'set':
    case 'map':
      return readSet(reader, { line, create, at: readNamed(reader), kind: what });
    case 'element':
      return [{ line, kind: 'elements', verb, at: readNamed(reader), elements: readElements(reader) }];
    default:
      throw new Error(`Cannot read nft text: line ${line}, unknown object "${what}"`);
  }
}

type WithoutLine<T> = T extends unknown ? Omit<T, 'line'> : never;

function readDeletion(reader: NftReader): WithoutLine<Command> {
  const what = reader.word();
  switch (what) {
    case 'table':
      return { kind: 'deleteTable', at: readPlace(reader) };
    case 'chain':
    case 'set':
    case 'map':
      return { kind: 'delete', what, at: readNamed(reader) };
    case 'element':
      return { kind: 'elements', verb: 'delete', at: readNamed(reader), elements: readElements(reader) };
    case 'rule': {
      const at = readNamed(reader);
      reader.expect('handle');
      return { kind: 'deleteRule', at, handle: Number(reader.word()) };
    }
    default:
      throw new Error(`Cannot read nft text: line ${reader.line}, "delete ${what}"`);
  }
}

function readFlush(reader: NftReader): WithoutLine<Command> {
  const what = reader.word();
  if (what === 'table') return { kind: 'flushTable', at: readPlace(reader) };
  if (what === 'chain' || what === 'set' || what === 'map') return { kind: 'flush', what, at: readNamed(reader) };
  throw new Error(`Cannot read nft text: line ${reader.line}, "flush ${what}"`);
}
