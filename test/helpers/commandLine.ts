import { Command, CommanderError } from 'commander';
import type { CommandIo } from '../../src/cli/io.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command of the command line in this process. Throws what the command throws. */
export async function runCommand(
  make: (io: CommandIo) => Command,
  args: readonly string[],
  env: CommandIo['env'] = {},
): Promise<CommandResult> {
  const result = { exitCode: 0, stdout: '', stderr: '' };
  const io: CommandIo = {
    stdout: (text) => void (result.stdout += text),
    stderr: (text) => void (result.stderr += text),
    env,
    executable: undefined,
    exitCode: (code) => void (result.exitCode = code),
  };
  const program = new Command('kube-nwplcy')
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr });
  const command = make(io).copyInheritedSettings(program);
  try {
    await command.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    result.exitCode = error.exitCode === 0 ? 0 : 2;
  }
  return result;
}
