import { execa, type Result } from 'execa';
import { parseTable } from '../../rules/nftables/listing.ts';
import type { NftCommands, NftFamily, NftTable } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { COMMIT_ARGUMENTS, listArguments } from './arguments.ts';
import { isMissingTable, nftComplaint } from './errors.ts';

const OPTIONS = { reject: false, stripFinalNewline: false, env: { LC_ALL: 'C' } } as const;

/** Commits one transaction: all of it or nothing. Throws a CommandError. */
export async function commitNft(commands: NftCommands): Promise<void> {
  const result = await execa('nft', COMMIT_ARGUMENTS, { ...OPTIONS, input: `${commands.join('\n')}\n` });
  if (result.failed) throw failure(COMMIT_ARGUMENTS, result);
}

/** Returns one of our tables as it is in the kernel, or `undefined` where there is none. Throws a CommandError. */
export async function readTable(family: NftFamily): Promise<NftTable | undefined> {
  const args = listArguments(family);
  const result = await execa('nft', args, { ...OPTIONS, stdin: 'ignore' });
  if (!result.failed) return parseTable(result.stdout);
  if (isMissingTable({ stderr: result.stderr ?? '' })) return undefined;
  throw failure(args, result);
}

type FailedRun = Pick<Result<typeof OPTIONS>, 'exitCode' | 'signal' | 'code' | 'stderr'>;

function failure(args: readonly string[], { exitCode, signal, code, stderr }: FailedRun): CommandError {
  const result = { exitCode, signal, code, stderr: nftComplaint({ stderr: stderr ?? '', signal }) };
  return new CommandError({ file: 'nft', args, result });
}
