import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { isBackend } from '../dataplane/backend.ts';
import { hookProblems } from '../dataplane/hooks.ts';
import { IP_FAMILIES } from '../net/family.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import { askAgent, NoAgentError } from './agentClient.ts';
import { parseDuration } from './duration.ts';
import type { CommandIo } from './io.ts';
import { needsOf, type SeenNode } from './nodeNeeds.ts';
import { NoAgentAnswer } from './noAgent.ts';
import { headline, statusText } from './statusText.ts';
import { waitSynced } from './waitSynced.ts';

interface StatusFlags {
  readonly runtimeDir: string;
  readonly output: 'text' | 'json';
  readonly waitSynced: boolean;
  readonly timeout: number;
}

const TIMEOUT_MS = 5000;
/** The agent puts back within a second what others take out. */
const SECOND_LOOK_MS = 1500;

/** `status`: whether this node is protected, and how it stands; exit 1 when something needs a person. */
export function statusCommand(io: CommandIo): Command {
  return new Command('status')
    .description('say whether this node is protected, and how it stands')
    .option('--runtime-dir <dir>', 'the directory shared with the agent', DEFAULT_RUNTIME_DIR)
    .option('--wait-synced', 'wait first, for an agent and until the kernel holds all that the source holds now', false)
    .addOption(
      new Option('--timeout <duration>', 'how long --wait-synced waits')
        .default(30_000, '30s')
        .argParser(parseDuration),
    )
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: StatusFlags) => {
      try {
        if (flags.waitSynced) await waitSynced(flags.runtimeDir, flags.timeout);
        io.exitCode(tell(await look(flags.runtimeDir), { io, ...flags }));
      } catch (error) {
        if (!(error instanceof NoAgentError)) throw error;
        new NoAgentAnswer(error, flags.runtimeDir).tell(io, flags);
        io.exitCode(1);
      }
    });
}

const HELP = `
The first line is the answer. What needs a person follows, with what to do; then how agent, source, kernel and pods stand.

Examples:
  kube-nwplcy status
  kube-nwplcy status --wait-synced --timeout 2m
  kube-nwplcy status --output json | jq .needs

Exit codes: 0 this node is protected and needs nobody; 1 it needs a person, or no agent answers; 2 bad usage.`;

async function look(runtimeDir: string): Promise<SeenNode> {
  const status = await askStatus(runtimeDir);
  const problems = await hooksOf(status);
  if (problems === undefined || problems.length === 0) return { status, hookProblems: problems };
  await sleep(SECOND_LOOK_MS);
  const again = await askStatus(runtimeDir);
  return { status: again, hookProblems: await hooksOf(again) };
}

async function askStatus(runtimeDir: string): Promise<AgentStatus> {
  const reply = await askAgent({ ask: 'status' }, { runtimeDir, timeoutMs: TIMEOUT_MS });
  if (reply.kind === 'status') return reply.status;
  throw new Error(reply.kind === 'failed' ? reply.message : 'The agent is of another version');
}

/** Before its first change the agent has no hooks, and says so itself. */
async function hooksOf({ backend, lastSync }: AgentStatus): Promise<readonly string[] | undefined> {
  if (lastSync === undefined || !isBackend(backend.name)) return undefined;
  const families = IP_FAMILIES.filter((family) => backend.families.includes(family));
  try {
    return await hookProblems(backend.name, { families });
  } catch {
    // Where this process may not look, or has no program to look with, the agent's own words must do: it looks once a second.
    return undefined;
  }
}

function tell(seen: SeenNode, { io, output }: { readonly io: CommandIo } & Pick<StatusFlags, 'output'>): 0 | 1 {
  const needs = needsOf(seen, Date.now());
  const answer = { protected: !needs.some(({ isOpen }) => isOpen), headline: headline(needs), needs };
  if (output === 'json')
    io.stdout(`${JSON.stringify({ ...answer, hookProblems: seen.hookProblems ?? null, ...seen.status })}\n`);
  else io.stdout(statusText(seen, needs));
  return needs.length === 0 ? 0 : 1;
}
