import { detectBackend, isBackend, programOf, type Backend } from '../dataplane/backend.ts';
import { podKernelOf } from '../dataplane/podKernelOf.ts';
import type { PodKernel } from '../dataplane/podKernel.ts';
import { ToolMissingError } from '../dataplane/toolMissing.ts';
import { findTool } from '../dataplane/tools.ts';
import { readBackendChoice, writeBackendChoice } from '../rendezvous/backendChoice.ts';
import { readHeartbeat, type Heartbeat } from '../rendezvous/heartbeat.ts';
import { makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import type { Context } from './context.ts';
import { CniError } from './errors.ts';

/**
 * Returns the backend for a pod to come: the configuration's, else the live agent's, else the one chosen before, else what others on this node
 * use. Throws a CniError when the live agent writes into another one than the configuration names, or when there is none.
 */
export function settleBackend(context: Context, agent: Heartbeat | undefined): Backend {
  const { config, env, log } = context;
  const agreed = agreedBackend(context, agent);
  const isInstalled = agreed !== undefined && findTool(programOf(agreed), env) !== undefined;
  // What is named must be there, and so is what was chosen; an agent in a container may have chosen by the programs of its image.
  if (agreed !== undefined && (isInstalled || config.backend !== 'auto')) return agreed;
  const choice = detectBackend(env);
  if (choice === undefined) {
    const program = 'nft or iptables-restore';
    throw new ToolMissingError('write rules', { program, install: 'nftables or iptables', env });
  }
  makeRuntimeDir(config.runtimeDir);
  writeBackendChoice(config.runtimeDir, choice.backend);
  log('info', 'Chose the backend', { ...choice });
  if (agent !== undefined && agreed !== undefined) throw askedAgent(agreed, choice.backend);
  return choice.backend;
}

/** An agent that chose by itself follows what is on record. */
function askedAgent(agents: Backend, ours: Backend): CniError {
  return new CniError('tryAgainLater', {
    msg: `Cannot add the pod yet: the agent is asked to change from "${agents}" to "${ours}"`,
    details: `The agent runs with "${agents}", and ${programOf(agents)} is not installed on this node. An agent with --backend auto changes within seconds`,
  });
}

/** Returns the same as far as it is known without asking the kernel. Throws a CniError where configuration and agent do not agree. */
export function agreedBackend(context: Pick<Context, 'config'>, agent: Heartbeat | undefined): Backend | undefined {
  const known = knownBackend(context, agent);
  if (agent === undefined || agent.backend === known) return known;
  throw new CniError('invalidConfig', {
    msg: `Cannot use "backend": it is "${context.config.backend}", but this node's agent writes into "${agent.backend}"`,
    details: 'Set "backend" to "auto" or to the agent\'s, or start the agent with the same --backend',
  });
}

/** Returns the backend that pods of this node are hooked in by, or `undefined` when none ever was. */
function knownBackend({ config }: Pick<Context, 'config'>, agent: Heartbeat | undefined): Backend | undefined {
  if (config.backend !== 'auto') return config.backend;
  return [agent?.backend, readBackendChoice(config.runtimeDir)].find(isBackend);
}

/**
 * Returns what takes pods of this node out: every backend that may hold something of one. `wasHooked` tells that one does for certain. During a
 * change of backends that is the present one, and the one by which the pod was hooked in.
 */
export function kernelsHolding(
  context: Context,
  { wasHooked, hookedBy }: { readonly wasHooked: boolean; readonly hookedBy: string | undefined },
): readonly PodKernel[] {
  const present = presentBackend(context) ?? (wasHooked ? detectBackend(context.env)?.backend : undefined);
  // What one has left whose program is gone by now, nobody can take out; what one that is not named has left, the agent does.
  const earlier =
    isBackend(hookedBy) && findTool(programOf(hookedBy), context.env) !== undefined ? hookedBy : undefined;
  const backends = new Set([present, earlier].filter(isBackend));
  return [...backends].map((backend) => podKernel(backend, context));
}

/** Returns what pods of this node are hooked in by; of one that was hooked in while no backend was on record, what would be chosen now. */
export function presentKernel(context: Context): PodKernel | undefined {
  const backend = presentBackend(context) ?? detectBackend(context.env)?.backend;
  return backend === undefined ? undefined : podKernel(backend, context);
}

function presentBackend(context: Context): Backend | undefined {
  const agent = readHeartbeat(context.config.runtimeDir);
  return isBackend(agent?.backend) ? agent.backend : knownBackend(context, agent);
}

/** Returns what writes into a backend. */
export function podKernel(backend: Backend, { env, log }: Pick<Context, 'env' | 'log'>): PodKernel {
  return podKernelOf(backend, { env, warn: (message, fields) => log('warn', message, fields) });
}
