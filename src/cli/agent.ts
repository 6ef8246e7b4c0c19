import { Command, InvalidArgumentError, Option } from 'commander';
import type { Logger } from 'pino';
import { Agent } from '../agent/agent.ts';
import { refuseRemote } from '../agent/livePage.ts';
import type { ListenAddress } from '../agent/metrics.ts';
import {
  BACKENDS,
  detectBackend,
  isBackend,
  programOf,
  type Backend,
  type BackendChoice,
} from '../dataplane/backend.ts';
import { findTool, type Environment } from '../dataplane/tools.ts';
import { removeFromKernel } from '../dataplane/removal.ts';
import { openKernel } from '../dataplane/openKernel.ts';
import { fileSystemFailure } from '../install/failure.ts';
import { readBackendChoice, writeBackendChoice } from '../rendezvous/backendChoice.ts';
import { DEFAULT_RUNTIME_DIR, makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import { VERSION } from '../version.ts';
import { agentLog, LOG_FORMATS, LOG_LEVELS, type LogOptions } from './agentLog.ts';
import { openSource, type AgentSourceOptions } from './agentSource.ts';
import type { CommandIo } from './io.ts';
import { pageAsset } from './pageAsset.ts';
import { parseSource } from './sourceChoice.ts';

interface AgentCommandOptions extends LogOptions, AgentSourceOptions {
  readonly backend: 'auto' | Backend;
  readonly metricsAddr: ListenAddress | undefined;
  readonly uiAddr: ListenAddress | undefined;
  readonly uiAllowRemote: boolean;
  readonly nflogGroup: number | undefined;
}

/** `agent`: runs until SIGTERM or SIGINT, which leave the kernel's rules in force. */
export function agentCommand(io: CommandIo): Command {
  return new Command('agent')
    .description("keep this node's rules current")
    .requiredOption('--node-name <name>', "this node's name, as pods name it in spec.nodeName")
    .addOption(
      new Option(
        '--source <source>',
        'where the objects come from: kube, the API server, or dir:PATH, a directory of manifests',
      )
        .argParser(parseSource)
        .makeOptionMandatory(),
    )
    .option('--kubeconfig <file>', 'how to reach the API server (default: as a pod of the cluster does)')
    .option('--no-share-addresses', "do not tell other nodes of new pods' addresses before the API server does")
    .option('--denied-events', "tell of what was refused by Events at this node's pods; needs --source kube", false)
    .addOption(
      new Option('--nflog-group <number>', 'log what was refused to this NFLOG group, for ulogd or tcpdump').argParser(
        parseNflogGroup,
      ),
    )
    .option('--runtime-dir <dir>', 'the directory shared with the plugin', DEFAULT_RUNTIME_DIR)
    .addOption(
      new Option('--backend <backend>', 'how rules get into the kernel').choices(['auto', ...BACKENDS]).default('auto'),
    )
    .addOption(
      new Option(
        '--metrics-addr <host:port>',
        'where to serve /metrics, /healthz and /readyz (default: nowhere)',
      ).argParser(parseListenAddress),
    )
    .addOption(
      new Option(
        '--ui-addr <host:port>',
        'where to serve a page of who reaches whom: a loopback address (default: nowhere)',
      ).argParser(parseListenAddress),
    )
    .option('--ui-allow-remote', 'let --ui-addr be any address: whoever reaches it reads all pods and policies', false)
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LOG_LEVELS).default('info'))
    .addOption(
      new Option('--log-format <format>', 'how it is logged: for machines, or for people')
        .choices(LOG_FORMATS)
        .default('json'),
    )
    .addHelpText('after', HELP)
    .action(async (options: AgentCommandOptions, command: Command) => {
      if (options.deniedEvents && options.source.kind !== 'kube')
        command.error('error: --denied-events needs --source kube: there is no API server to write Events to');
      try {
        await runAgent(options, { env: io.env, log: agentLog(options) });
      } catch (error) {
        const failure = fileSystemFailure(error);
        throw failure === undefined ? error : new Error(`Cannot run the agent: ${failure}`, { cause: error });
      }
      io.exitCode(0);
    });
}

const HELP = `
It runs until SIGTERM or SIGINT, and leaves the rules in force. Only one agent serves a --runtime-dir.

Examples:
  kube-nwplcy agent --node-name "$(hostname)" --source kube --kubeconfig /etc/kubernetes/kubelet.conf
  kube-nwplcy agent --node-name node-1 --source dir:/etc/policies --log-format pretty
  kube-nwplcy agent --node-name node-1 --source kube --metrics-addr 127.0.0.1:9473

Exit codes: 0 it was told to end; 1 it cannot start, or another agent runs; 2 bad usage.`;

function parseListenAddress(text: string): ListenAddress {
  const [, host, port] = /^(?:\[?([^[\]]*?)\]?):([0-9]{1,5})$/.exec(text) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('expected HOST:PORT, e.g. 127.0.0.1:9473');
  return { host: host === '' ? '::' : host, port: Number(port) };
}

function parseNflogGroup(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('expected a number from 0 to 65535');
  return Number(text);
}

async function runAgent(
  options: AgentCommandOptions,
  { env, log }: { readonly env: Environment; readonly log: Logger },
): Promise<void> {
  if (options.uiAddr !== undefined) refuseRemote(options.uiAddr, { allowRemote: options.uiAllowRemote });
  const signal = ended();
  for (;;) {
    const choice = backendFor(options.backend, { runtimeDir: options.runtimeDir, env });
    const agent = await startAgent(options, { choice, env, log });
    const end = await Promise.race([signal, otherChoice(options, choice.backend)]);
    if (isBackend(end))
      log.warn({ from: choice.backend, to: end }, 'Changes the backend: the plugin cannot use this one');
    else
      log.info({ signal: end }, 'Agent ends: the rules stay in force, new pods are quarantined until an agent is back');
    await agent.stop();
    if (!isBackend(end)) return;
  }
}

async function startAgent(
  options: AgentCommandOptions,
  { choice, env, log }: { readonly choice: BackendChoice; readonly env: Environment; readonly log: Logger },
): Promise<Agent> {
  const { nodeName, runtimeDir, metricsAddr, uiAddr, nflogGroup } = options;
  const kernel = await openKernel(choice.backend, { env, log, nflogGroup });
  // From now on the plugin uses it too, whenever no agent is there to say so.
  makeRuntimeDir(runtimeDir);
  writeBackendChoice(runtimeDir, choice.backend);
  const { source, name: sourceName, events } = await openSource(options, { env, log });
  const agent = new Agent({
    version: VERSION,
    nodeName,
    runtimeDir,
    source,
    sourceName,
    events,
    backend: choice.backend,
    backendReason: choice.reason,
    metricsAddress: metricsAddr,
    page: uiAddr && { address: uiAddr, asset: await pageAsset(), isPartial: options.source.kind === 'kube' },
    kernel,
    removeOthers: (attachments) => removeFromKernel({ env, dryRun: false, attachments }, { keep: choice.backend }),
    log,
  });
  await agent.start();
  log.info(
    { version: VERSION, nodeName, source: sourceName, runtimeDir, backend: choice.backend, reason: choice.reason },
    'Agent started',
  );
  return agent;
}

const CHOICE_PERIOD_MS = 1000;

/** Resolves when the plugin has put another choice on record: on the node it may lack a program that is in the agent's image. */
async function otherChoice(
  { backend, runtimeDir }: Pick<AgentCommandOptions, 'backend' | 'runtimeDir'>,
  own: Backend,
): Promise<Backend> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, CHOICE_PERIOD_MS).unref());
    const choice = backend === 'auto' ? readBackendChoice(runtimeDir) : own;
    if (isBackend(choice) && choice !== own) return choice;
  }
}

function backendFor(
  wanted: AgentCommandOptions['backend'],
  { runtimeDir, env }: { readonly runtimeDir: string; readonly env: Environment },
): BackendChoice {
  const choice = wanted === 'auto' ? automatic({ runtimeDir, env }) : { backend: wanted, reason: 'as --backend says' };
  if (choice !== undefined) return choice;
  const path = JSON.stringify(env['PATH'] ?? '');
  throw new Error(
    `Cannot start: PATH (${path}) has neither nft nor iptables-restore; install "nftables" or "iptables"`,
  );
}

/** What the plugin has put into the kernel must be found again: an earlier choice holds until the next boot. */
function automatic({
  runtimeDir,
  env,
}: {
  readonly runtimeDir: string;
  readonly env: Environment;
}): BackendChoice | undefined {
  const earlier = readBackendChoice(runtimeDir);
  const isUsable = isBackend(earlier) && findTool(programOf(earlier), env) !== undefined;
  return isUsable ? { backend: earlier, reason: 'chosen earlier on this node' } : detectBackend(env);
}

function ended(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // Not `once`: while a program runs, execa listens too, and where it finds itself alone it kills the program and then this process.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}
