import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { agentCommand } from './agent.ts';
import { cleanupCommand } from './cleanup.ts';
import { completionCommand } from './completionCommand.ts';
import { deniedCommand } from './denied.ts';
import { doctorCommand } from './doctor.ts';
import { explainCommand } from './explain.ts';
import { installCommand } from './install.ts';
import type { CommandIo } from './io.ts';
import { matrixCommand } from './matrix.ts';
import { renderCommand } from './render.ts';
import { statusCommand } from './status.ts';
import { suggestCommand } from './suggest.ts';
import { syncCommand } from './sync.ts';

/** Runs one command of the command line and returns its exit code: 0 yes, 1 no or something is wrong, 2 bad usage. */
export async function runCommandLine(args: readonly string[], io: Omit<CommandIo, 'exitCode'>): Promise<number> {
  let exitCode = 0;
  const program = commandLine({ ...io, exitCode: (code) => (exitCode = code) });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what it has to say, and means --help and --version by 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

const COMMANDS = [
  agentCommand,
  syncCommand,
  statusCommand,
  doctorCommand,
  deniedCommand,
  suggestCommand,
  explainCommand,
  matrixCommand,
  renderCommand,
  installCommand,
  cleanupCommand,
  completionCommand,
];

const HELP = `
Examples:
  kube-nwplcy doctor                      what is wrong with this node
  kube-nwplcy status                      is it protected
  kube-nwplcy COMMAND --help              the flags of a command, with examples
  source <(kube-nwplcy completion bash)   complete commands and flags

Exit codes: 0; 1 the answer is no, or something is wrong; 2 bad usage.`;

/** Returns the whole command line. */
export function commandLine(io: CommandIo): Command {
  const program = new Command('kube-nwplcy')
    .description('Kubernetes NetworkPolicy for clusters whose CNI has none')
    .version(`kube-nwplcy ${VERSION}`, '--version')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr });
  for (const make of COMMANDS) program.addCommand(make(io).copyInheritedSettings(program));
  return program;
}
