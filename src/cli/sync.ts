import { Command, Option } from 'commander';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import type { SourceProblem } from '../source/source.ts';
import { askAgent } from './agentClient.ts';
import { parseDuration } from './duration.ts';
import type { CommandIo } from './io.ts';

interface SyncOptions {
  readonly runtimeDir: string;
  readonly timeout: number;
  readonly output: 'text' | 'json';
}

/** `sync`: returns once the kernel holds everything that the source holds now. */
export function syncCommand(io: CommandIo): Command {
  return new Command('sync')
    .description('wait until the kernel holds everything that the source holds now')
    .option('--runtime-dir <dir>', 'the directory shared with the agent', DEFAULT_RUNTIME_DIR)
    .addOption(new Option('--timeout <duration>', 'how long to wait').default(30_000, '30s').argParser(parseDuration))
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async ({ runtimeDir, timeout, output }: SyncOptions) => {
      const reply = await askAgent({ ask: 'sync' }, { runtimeDir, timeoutMs: timeout });
      if (reply.kind !== 'synced')
        throw new Error(reply.kind === 'failed' ? reply.message : 'The agent is of another version');
      if (output === 'json') io.stdout(`${JSON.stringify({ synced: true, problems: reply.problems })}\n`);
      else for (const problem of reply.problems) io.stderr(`${problemText(problem)}\n`);
      // The last good content is in force, but that is not what the source holds now.
      io.exitCode(reply.problems.length === 0 ? 0 : 1);
    });
}

const HELP = `
What cannot be used in the source is told on stderr, a line each; its last good content is in force.

Examples:
  kubectl apply -f policy.yaml && kube-nwplcy sync && echo in force
  kube-nwplcy sync --timeout 2m

Exit codes: 0 the kernel holds it all; 1 not in time, no agent, or something in the source cannot be used; 2 bad usage.`;

/** Returns a problem as one line, `FILE:LINE: MESSAGE`. */
export function problemText({ where, line, message }: SourceProblem): string {
  return `${where}${line === undefined ? '' : `:${line}`}: ${message}`;
}
