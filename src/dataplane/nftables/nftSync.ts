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

/** Runs a transaction that is never committed, and returns what nft prints of what the kernel would refuse. */
export function tryNft(program: NftProgram, commands: NftCommands): string {
  return run(program, { args: ['--check', ...COMMIT_ARGUMENTS], input: `${commands.join('\n')}\n` }).stderr;
}

const LIST_TABLES: readonly string[] = ['list', 'tables'];

/** Returns the names of all tables, `inet filter`, ours and others', and reads nothing that is in them. Throws a CommandError. */
export function listTables(program: NftProgram): readonly string[] {
  const result = run(program, { args: LIST_TABLES, input: '' });
  if (result.status !== 0) throw failure(program, { args: LIST_TABLES, result });
  return [...result.stdout.matchAll(/^table (\S+ \S+)$/gm)].map(([, name = '']) => name);
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
