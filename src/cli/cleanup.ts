import { createConnection } from 'node:net';
import { Command, Option } from 'commander';
import { removeFromKernel } from '../dataplane/removal.ts';
import { cleanAsides, cleanConfDir, cleanRuntimeDir, runtimeDirInUse } from '../install/cleanup.ts';
import { PLUGIN_TYPE } from '../install/conflist.ts';
import { removeExecutable } from '../install/executable.ts';
import { fileSystemFailure } from '../install/failure.ts';
import { countRememberedPods } from '../install/rememberedPods.ts';
import type { Outcome, Step } from '../install/step.ts';
import { agentSocketPath } from '../rendezvous/agentSocket.ts';
import { readAttachments } from '../rendezvous/attachment.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR } from './install.ts';
import type { CommandIo } from './io.ts';
import { report, type ReportOptions } from './stepReport.ts';

interface CleanupFlags extends ReportOptions {
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly runtimeDir: string | undefined;
}

/** `cleanup`: takes everything of ours off this node, and nothing else. */
export function cleanupCommand(io: CommandIo): Command {
  return new Command('cleanup')
    .description('take everything of kube-nwplcy off this node, and nothing else')
    .option('--cni-bin-dir <dir>', 'where the container runtime looks for plugins', DEFAULT_BIN_DIR)
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for networks', DEFAULT_CONF_DIR)
    .option(
      '--runtime-dir <dir>',
      `the directory shared with the agent (default: the conflist's "runtimeDir", else "${DEFAULT_RUNTIME_DIR}")`,
    )
    .option('--dry-run', 'say what would be done, and do nothing', false)
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: CleanupFlags) => {
      const outcome = await cleanup(flags, io);
      const isNothing = outcome.steps.length === 0 && outcome.problems.length === 0;
      if (isNothing && flags.output === 'text') io.stdout('Nothing to remove\n');
      else report(outcome, { io, ...flags });
      io.exitCode(outcome.problems.length === 0 ? 0 : 1);
    });
}

const HELP = `
Stop the agent first, and "kube-nwplcy install --watch" wherever it runs: it would put the entry back. Pods go on without policies.
What goes, in this order: the entry in the conflists, rules and sets in this network namespace, of nftables and of both iptables worlds, the files in
--runtime-dir, the executable. What is not ours stays as it is. Running it again does no harm.

Examples:
  kube-nwplcy cleanup --dry-run
  kube-nwplcy cleanup

Exit codes: 0 nothing of ours is left; 1 something is, and is told; 2 bad usage.`;

async function cleanup(flags: CleanupFlags, io: CommandIo): Promise<Outcome> {
  try {
    return await cleanAll(flags, io);
  } catch (error) {
    const failure = fileSystemFailure(error);
    throw failure === undefined ? error : new Error(`Cannot clean up: ${failure}`, { cause: error });
  }
}

async function cleanAll({ dryRun, ...flags }: CleanupFlags, { env }: CommandIo): Promise<Outcome> {
  const runtimeDir = flags.runtimeDir ?? runtimeDirInUse(flags.cniConfDir) ?? DEFAULT_RUNTIME_DIR;
  if (await isAnswered(agentSocketPath(runtimeDir)))
    throw new Error(`Cannot clean up: the agent of "${runtimeDir}" runs; stop it first`);
  const attachments = readAttachments(runtimeDir);
  const network = cleanConfDir(flags.cniConfDir, { dryRun });
  // A pod that comes now must not be hooked in again.
  if (network.problems.length > 0) return network;
  const removed = removeFromKernel({ env, dryRun, attachments }, { keep: undefined });
  const problems = removed.flatMap(({ from, problem }) => (problem === undefined ? [] : [`${from}: ${problem}`]));
  const steps: readonly Step[] = [...network.steps, ...removed.flatMap(kernelStep)];
  // The records lead to what is left in the kernel.
  if (problems.length > 0) return { steps, notes: network.notes, problems };
  return {
    steps: [...steps, ...cleanRuntimeDir(runtimeDir, { dryRun }), ...cleanBinDir(flags.cniBinDir, { dryRun })],
    notes: network.notes,
    problems,
  };
}

function cleanBinDir(binDir: string, { dryRun }: { readonly dryRun: boolean }): readonly Step[] {
  const path = `${binDir}/${PLUGIN_TYPE}`;
  const pods = countRememberedPods();
  if (pods === 0) return [...removeExecutable(path, { dryRun }), ...cleanAsides(binDir, { dryRun })];
  return [
    { path, verb: 'kept', what: `CRI-O calls it when the ${pods} pods go that were made with it; clean up again then` },
  ];
}

function kernelStep({ from, what }: { readonly from: string; readonly what: string | undefined }): readonly Step[] {
  return what === undefined ? [] : [{ path: from, verb: 'removed', what }];
}

/** Tells whether an agent listens there. Throws what else comes between, such as that only root may ask. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if ('code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')) resolve(false);
      else reject(error);
    });
  });
}
