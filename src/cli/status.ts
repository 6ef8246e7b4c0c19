import { Command, Option } from 'commander';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import { askAgent } from './agentClient.ts';
import type { CommandIo } from './io.ts';
import { problemText } from './sync.ts';

const TIMEOUT_MS = 5000;

/** `status`: how this node stands; exit 1 when something needs a person. */
export function statusCommand(io: CommandIo): Command {
  return new Command('status')
    .description('show how this node stands; exit 1 when something needs a person')
    .option('--runtime-dir <dir>', 'the directory shared with the agent', DEFAULT_RUNTIME_DIR)
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .action(async ({ runtimeDir, output }: { readonly runtimeDir: string; readonly output: 'text' | 'json' }) => {
      const reply = await askAgent({ ask: 'status' }, { runtimeDir, timeoutMs: TIMEOUT_MS });
      if (reply.kind !== 'status')
        throw new Error(reply.kind === 'failed' ? reply.message : 'The agent is of another version');
      io.stdout(output === 'json' ? `${JSON.stringify(reply.status)}\n` : statusText(reply.status));
      io.exitCode(needsPerson(reply.status) ? 1 : 0);
    });
}

/** Tells whether somebody must look: the kernel is not as it should be, or the source cannot be used as it stands. */
function needsPerson({ failure, source, lastSync }: AgentStatus): boolean {
  return (
    failure !== undefined ||
    !source.inSync ||
    source.away !== undefined ||
    source.problems.length > 0 ||
    lastSync === undefined
  );
}

/** Returns the status as a screen of lines. */
export function statusText(status: AgentStatus): string {
  const { pods, source, backend, kernel, lastSync, failure } = status;
  const lines: readonly (readonly [string, string])[] = [
    ['node', `${status.nodeName} (agent ${status.version}, pid ${status.pid})`],
    [
      'source',
      `${source.from}, ${source.inSync ? 'in sync' : 'not in sync: nothing is changed until everything was listed once'}`,
    ],
    ...(source.away === undefined ? [] : [['', `away since ${source.away.since}: ${source.away.reason}`] as const]),
    ['backend', `${backend.name} (${backend.reason}), ${backend.families.join(' and ')}`],
    ['policies', `${status.policies}`],
    ['pods', `${pods.attached} attached, ${pods.isolated} isolated, ${pods.quarantined.length} quarantined`],
    ...(pods.adopted === 0 ? [] : [['', `${pods.adopted} of them were there before the plugin was`] as const]),
    ...pods.quarantined.map((pod) => ['', `${pod} is refused everything: the source does not show it`] as const),
    [
      'kernel',
      `generation ${status.generation}, ${kernel.sets} sets, ${kernel.chains} chains, ${status.repairs} repairs`,
    ],
    ['last sync', lastSync === undefined ? 'never' : `${lastSync.at}, took ${lastSync.milliseconds} ms`],
    ...(failure === undefined ? [] : [['failure', failure] as const]),
    ...source.problems.map((problem) => ['problem', problemText(problem)] as const),
  ];
  return lines.map(([label, text]) => `${label.padEnd(10)} ${text}\n`).join('');
}
