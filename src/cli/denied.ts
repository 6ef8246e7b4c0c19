import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { FlowNews } from '../agent/flowNews.ts';
import { printable } from '../net/quote.ts';
import type { DeniedFlow } from '../rendezvous/deniedFlow.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { askAgent } from './agentClient.ts';
import { deniedLines, deniedTable } from './deniedText.ts';
import type { CommandIo } from './io.ts';

interface DeniedFlags {
  readonly runtimeDir: string;
  readonly namespace: string | undefined;
  readonly follow: boolean;
  readonly output: 'text' | 'json';
}

/** `denied`: what was refused on this node lately, and by which policies. */
export function deniedCommand(io: CommandIo): Command {
  return new Command('denied')
    .description('show what was refused on this node lately, or would have been but for audit mode')
    .option('--runtime-dir <dir>', 'the directory shared with the agent', DEFAULT_RUNTIME_DIR)
    .option('--namespace <name>', 'only flows that a pod of this namespace has a part in')
    .option('--follow', 'go on, and print what comes', false)
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: DeniedFlags) => (flags.follow ? follow(flags, io) : show(flags, io)));
}

const HELP = `
A refusal is remembered for ten minutes, what audit mode let pass for a day; of each there are so many at most. Ends are told as policies
see them: the pods behind a Service. A pod of another node that no policy names is told by its address.

Examples:
  kube-nwplcy denied --namespace shop
  kube-nwplcy denied --follow --output json | jq .to.pod

Exit codes: 0 told, also where there is nothing to tell; 1 no agent answers, or it cannot look; 2 bad usage.`;

const TIMEOUT_MS = 10_000;
const FOLLOW_MS = 1000;

async function show(flags: DeniedFlags, io: CommandIo): Promise<void> {
  const flows = await ask(flags, io);
  io.stdout(flags.output === 'json' ? `${JSON.stringify(flows)}\n` : deniedTable(flows, Date.now()));
}

async function follow(flags: DeniedFlags, io: CommandIo): Promise<never> {
  const news = new FlowNews();
  for (;;) {
    const flows = news.take(await ask(flags, io)).toReversed();
    if (flags.output === 'json') io.stdout(flows.map((flow) => `${JSON.stringify(flow)}\n`).join(''));
    else io.stdout(deniedLines(flows));
    await sleep(FOLLOW_MS);
  }
}

/** Returns the flows that are asked for, the latest first. Throws an Error that says why they cannot be had. */
async function ask({ runtimeDir, namespace }: DeniedFlags, io: CommandIo): Promise<readonly DeniedFlow[]> {
  const reply = await askAgent({ ask: 'denied' }, { runtimeDir, timeoutMs: TIMEOUT_MS });
  if (reply.kind !== 'denied')
    throw new Error(reply.kind === 'failed' ? printable(reply.message) : 'The agent is of another version');
  if (reply.problem !== undefined) io.stderr(`Refusals are not noted down on this node: ${printable(reply.problem)}\n`);
  return reply.flows.filter(
    ({ from, to }) =>
      namespace === undefined || [from, to].some(({ pod }) => pod?.startsWith(`${namespace}/`) === true),
  );
}
