import { Command, Option } from 'commander';
import { PLUGIN_TYPE } from '../install/conflist.ts';
import { keyProblems, type EntryKeys } from '../install/entryKeys.ts';
import { InstalledExecutable } from '../install/executable.ts';
import { install, type InstallOptions } from '../install/install.ts';
import { keepInstalled } from './installWatch.ts';
import type { CommandIo } from './io.ts';
import { report, type ReportOptions } from './stepReport.ts';

/** Where runtimes look for plugins and for networks unless they are told otherwise. */
export const DEFAULT_BIN_DIR = '/opt/cni/bin';
export const DEFAULT_CONF_DIR = '/etc/cni/net.d';

interface InstallFlags extends ReportOptions {
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly force: boolean;
  readonly watch: boolean;
}

/** The conflist keys that can be set by flags of the same name. */
const KEYS = ['runtimeDir', 'backend', 'whenAgentDown', 'agentTimeoutMs', 'markMask', 'logLevel', 'logFile'] as const;

/** `install`: puts this program where the container runtime finds it, and into the network that the runtime uses. */
export function installCommand(io: CommandIo): Command {
  return new Command('install')
    .description("put the plugin into this node's network")
    .option('--cni-bin-dir <dir>', 'where the container runtime looks for plugins', DEFAULT_BIN_DIR)
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for networks', DEFAULT_CONF_DIR)
    .option('--runtime-dir <dir>', 'the directory shared with the agent, as a key of the conflist')
    .option('--backend <backend>', 'how rules get into the kernel: auto, nftables, iptables-nft or iptables-legacy')
    .option('--when-agent-down <deny|allow>', 'how new pods run while no agent answers')
    .option('--agent-timeout-ms <number>', 'how long ADD waits for the agent')
    .option('--mark-mask <mask>', 'the bits of the conntrack mark that are ours')
    .option('--log-level <level>', 'what the plugin logs')
    .option('--log-file <file>', 'where the plugin logs')
    .option('--force', 'install also where packets would pass no rule of ours', false)
    .option('--watch', 'stay, and put back what others take out', false)
    .option('--dry-run', 'say what would be done, and do nothing', false)
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: InstallFlags, command: Command) => {
      const options = installOptions(io, { flags, keys: keysOf(command) });
      if (flags.watch && !flags.dryRun) {
        await keepInstalled(options, {
          directories: [flags.cniConfDir, flags.cniBinDir],
          end: ended(),
          tell: (outcome) => report(outcome, { io, ...flags }),
        });
        return;
      }
      const outcome = install(options);
      report(outcome, { io, ...flags });
      io.exitCode(outcome.problems.length === 0 ? 0 : 1);
    });
}

const HELP = `
The executable is copied first, then what a bridge needs is set (br_netfilter), and last one entry is added to the first file
by name of --cni-conf-dir that ends in .conf, .conflist or .json: the one that containerd and CRI-O use. What is there already stays
as it is, with the keys that somebody set there; a key that is given here is set. "kube-nwplcy cleanup" takes everything back.

Examples:
  kube-nwplcy install --dry-run
  kube-nwplcy install --cni-bin-dir /var/lib/rancher/k3s/data/cni --cni-conf-dir /var/lib/rancher/k3s/agent/etc/cni/net.d
  kube-nwplcy install --watch

Exit codes: 0 it is in place; 1 something is in the way, and is told; 2 bad usage.`;

/** Returns the keys given by flags. Throws commander's error for a value that the plugin would refuse. */
function keysOf(command: Command): EntryKeys {
  const given = command.opts<Readonly<Record<string, unknown>>>();
  const keys = Object.fromEntries(
    KEYS.filter((key) => given[key] !== undefined).map((key) => [key, valueOf(String(given[key]), key)]),
  );
  const problems = keyProblems(keys);
  if (problems.length > 0) command.error(`error: ${problems.join('; ')}`);
  return keys;
}

function installOptions(
  io: CommandIo,
  { flags, keys }: { readonly flags: InstallFlags; readonly keys: EntryKeys },
): InstallOptions {
  if (io.executable === undefined)
    throw new Error('Cannot install: this is not the packed executable; build it and run "dist/kube-nwplcy install"');
  return {
    executable: new InstalledExecutable(io.executable, `${flags.cniBinDir}/${PLUGIN_TYPE}`),
    confDir: flags.cniConfDir,
    keys,
    force: flags.force,
    dryRun: flags.dryRun,
    env: io.env,
  };
}

/** Where the conflist has a number; anything else is left for the plugin's own words. */
function valueOf(text: string, key: (typeof KEYS)[number]): string | number {
  return key === 'agentTimeoutMs' && /^[0-9]{1,9}$/.test(text) ? Number(text) : text;
}

function ended(): AbortSignal {
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end.abort());
  return end.signal;
}
