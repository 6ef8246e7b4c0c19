import { parsePrinted } from '../../rules/nftables/printed.ts';
import type { NftCommands, NftFamily, NftTable, NftTables } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { spawnSync, type SpawnResult } from '../spawnSync.ts';
import { toolEnvironment, type Environment } from '../tools.ts';
import { COMMIT_ARGUMENTS, listArguments } from './arguments.ts';
import { isMissingTable, nftComplaint } from './errors.ts';

// Whatever happens, the runtime gets its answer.
const COMMAND_LIMIT_MS = 30_000;

/** nft, for those who wait for its end. */
export interface NftProgram {
  /** The absolute path. */
  readonly file: string;
  readonly env: Environment;
}

/** Commits one transaction: all of it or nothing. Throws a CommandError. */
export function commitNft(program: NftProgram, commands: NftCommands): void {
  if (commands.length === 0) return;
  const result = run(program, { args: COMMIT_ARGUMENTS, input: `${commands.join('\n')}\n` });
  if (result.status !== 0) throw failure(program, { args: COMMIT_ARGUMENTS, result });
}

/** Asks nft for the names of all tables, ours and others', and for nothing that is in them. */
export function listTables(program: NftProgram): SpawnResult {
  return run(program, { args: ['list', 'tables'], input: '' });
}

/** Returns both of our tables as they are in the kernel. Throws a CommandError. */
export function readTables(program: NftProgram): NftTables {
  return { inet: readTable(program, 'inet'), bridge: readTable(program, 'bridge') };
}

function readTable(program: NftProgram, family: NftFamily): NftTable | undefined {
  const args = listArguments(family);
  const result = run(program, { args, input: '' });
  if (result.status === 0) return parsePrinted(result.stdout);
  if (isMissingTable(result)) return undefined;
  throw failure(program, { args, result });
}

function run({ file, env }: NftProgram, { args, input }: { readonly args: readonly string[]; readonly input: string }) {
  return spawnSync(file, args, { input, env: toolEnvironment(env), timeoutMs: COMMAND_LIMIT_MS });
}

function failure(
  { file }: NftProgram,
  { args, result }: { readonly args: readonly string[]; readonly result: SpawnResult },
): CommandError {
  const { status, error } = result;
  const signal = result.signal ?? undefined;
  const stderr = nftComplaint({ stderr: result.stderr, signal });
  return new CommandError({ file, args, result: { exitCode: status ?? undefined, signal, code: error?.code, stderr } });
}
