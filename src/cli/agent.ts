import { Command, InvalidArgumentError, Option } from 'commander';
import { pino, type Logger } from 'pino';
import { Agent } from '../agent/agent.ts';
import type { ListenAddress } from '../agent/metrics.ts';
import { BACKENDS, detectBackend, isBackend, type Backend, type BackendChoice } from '../dataplane/backend.ts';
import type { Environment } from '../dataplane/tools.ts';
import { CommandError } from '../dataplane/commandError.ts';
import { Iptables } from '../dataplane/iptables.ts';
import { IP_FAMILIES } from '../net/family.ts';
import { readBackendChoice, writeBackendChoice } from '../rendezvous/backendChoice.ts';
import { DEFAULT_RUNTIME_DIR, makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import { apiServerSource } from '../source/api/apiServerSource.ts';
import { directorySource } from '../source/directory.ts';
import type { Source } from '../source/source.ts';
import { VERSION } from '../version.ts';
import { connectApiServer } from './apiServer.ts';
import type { CommandIo } from './io.ts';
import { parseSource, type SourceChoice } from './sourceChoice.ts';

interface AgentCommandOptions {
  readonly nodeName: string;
  readonly source: SourceChoice;
  readonly kubeconfig: string | undefined;
  readonly shareAddresses: boolean;
  readonly runtimeDir: string;
  readonly backend: 'auto' | Backend;
  readonly metricsAddr: ListenAddress | undefined;
  readonly logLevel: string;
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
      new Option('--log-level <level>', 'what is logged')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
        .default('info'),
    )
    .action(async (options: AgentCommandOptions) => {
      await runAgent(options, {
        env: io.env,
        log: pino(
          { level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime },
          pino.destination({ dest: 2, sync: true }),
        ),
      });
      io.exitCode(0);
    });
}

function parseListenAddress(text: string): ListenAddress {
  const [, host, port] = /^(?:\[?([^[\]]*?)\]?):([0-9]{1,5})$/.exec(text) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('expected HOST:PORT, e.g. 127.0.0.1:9473');
  return { host: host === '' ? '::' : host, port: Number(port) };
}

/** Returns the source, and what people call it. Throws an Error that says what is missing. */
async function openSource(
  { source, kubeconfig, shareAddresses, nodeName, runtimeDir }: AgentCommandOptions,
  { env, log }: { readonly env: Environment; readonly log: Logger },
): Promise<{ readonly source: Source; readonly name: string }> {
  if (source.kind === 'directory') {
    const { path } = source;
    return { source: directorySource({ path, stateDir: `${runtimeDir}/manifests` }), name: `dir:${path}` };
  }
  const connection = await connectApiServer(kubeconfig, env);
  const warn = (message: string) => log.warn(message);
  return {
    source: apiServerSource({ connection, nodeName, shareAddresses, warn }),
    name: `kube:${connection.server}`,
  };
}

async function runAgent(
  options: AgentCommandOptions,
  { env, log }: { readonly env: Environment; readonly log: Logger },
): Promise<void> {
  const { nodeName, runtimeDir, backend, metricsAddr } = options;
  const end = ended();
  const choice = backendFor(backend, { runtimeDir, env });
  const tables = await usableTables(choice, log);
  const { source, name: sourceName } = await openSource(options, { env, log });
  const agent = new Agent({
    version: VERSION,
    nodeName,
    runtimeDir,
    source,
    sourceName,
    backend: choice.backend,
    backendReason: choice.reason,
    metricsAddress: metricsAddr,
    tables,
    log,
  });
  await agent.start();
  log.info(
    { version: VERSION, nodeName, source: sourceName, runtimeDir, backend: choice.backend, reason: choice.reason },
    'Agent started',
  );
  const signal = await end;
  log.info({ signal }, 'Agent ends: the rules stay in force, new pods are quarantined until an agent is back');
  await agent.stop();
}

function backendFor(
  wanted: AgentCommandOptions['backend'],
  { runtimeDir, env }: { readonly runtimeDir: string; readonly env: Environment },
): BackendChoice {
  if (wanted !== 'auto') return { backend: wanted, reason: 'as --backend says' };
  // What the plugin has put into the kernel must be found again.
  const earlier = readBackendChoice(runtimeDir);
  if (isBackend(earlier)) return { backend: earlier, reason: 'chosen earlier on this node' };
  const choice = detectBackend(env);
  if (choice !== undefined) {
    makeRuntimeDir(runtimeDir);
    writeBackendChoice(runtimeDir, choice.backend);
    return choice;
  }
  const path = JSON.stringify(env['PATH'] ?? '');
  throw new Error(
    `Cannot start: PATH (${path}) has neither iptables-nft-restore nor iptables-legacy-restore; install "iptables"`,
  );
}

/** IPv4 must work. A kernel without IPv6 tables has no IPv6 packets to judge. */
async function usableTables({ backend }: BackendChoice, log: Logger): Promise<readonly Iptables[]> {
  const tables = IP_FAMILIES.map((family) => new Iptables(family, backend));
  const usable: Iptables[] = [];
  for (const table of tables) {
    try {
      await table.read([]);
      usable.push(table);
    } catch (error) {
      if (table.family === 'ipv4' || !(error instanceof CommandError)) throw error;
      log.warn({ err: error }, 'Cannot use ip6tables: IPv6 traffic of pods is not judged');
    }
  }
  return usable;
}

function ended(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // Not `once`: while a program runs, execa listens too, and where it finds itself alone it kills the program and then this process.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}
