import type { FoundSet } from '../../rules/heldSets.ts';
import { parseTable } from '../../rules/nftables/listing.ts';
import { at, type NftCommands, type NftFamily, type NftTable } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { runProgram, type ProgramEnd } from '../runProgram.ts';
import { COMMIT_ARGUMENTS, listArguments, listSetArguments } from './arguments.ts';
import { isMissingTable, nftComplaint } from './errors.ts';

/** Commits one transaction: all of it or nothing. Throws a CommandError. */
export async function commitNft(commands: NftCommands): Promise<void> {
  const result = await runProgram('nft', { args: COMMIT_ARGUMENTS, input: `${commands.join('\n')}\n` });
  if (result.failed) throw failure(COMMIT_ARGUMENTS, result);
}

/** Runs a transaction that is never committed. Throws a CommandError where the kernel would refuse it. */
export async function checkNft(commands: NftCommands): Promise<void> {
  const args = ['--check', ...COMMIT_ARGUMENTS];
  const result = await runProgram('nft', { args, input: `${commands.join('\n')}\n` });
  if (result.failed) throw failure(args, result);
}

/** Returns one of our tables as it is in the kernel, or `undefined` where there is none. Throws a CommandError. */
export async function readTable(family: NftFamily): Promise<NftTable | undefined> {
  const args = listArguments(family);
  const result = await runProgram('nft', { args });
  if (!result.failed) return parseTable(result.stdout);
  if (isMissingTable(result)) return undefined;
  throw failure(args, result);
}

/** Returns some sets of the `inet` table. Throws a CommandError, also where one is missing. */
export async function readSets(names: readonly string[]): Promise<ReadonlyMap<string, FoundSet>> {
  const found = new Map<string, FoundSet>();
  // One after the other: nft finds only one of several that one process is to list.
  for (const name of names) {
    const args = listSetArguments(name);
    const result = await runProgram('nft', { args });
    if (result.failed) throw failure(args, result);
    const set = parseTable(result.stdout).sets.get(name);
    if (set !== undefined) found.set(name, { type: set.type, members: set.elements });
  }
  return found;
}

/** Returns what nft prints of one set of the `inet` table, with what packets change in it. Throws a CommandError. */
export async function listSet(name: string): Promise<string> {
  const args = ['list', 'set', ...at('inet', name).split(' ')];
  const result = await runProgram('nft', { args });
  if (result.failed) throw failure(args, result);
  return result.stdout;
}

function failure(args: readonly string[], end: ProgramEnd): CommandError {
  return new CommandError({ file: 'nft', args, result: { ...end, stderr: nftComplaint(end) } });
}
