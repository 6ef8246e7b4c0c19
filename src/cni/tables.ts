import { detectBackend, isBackend, type Backend } from '../dataplane/backend.ts';
import { findTable, restoreCommand, type Table } from '../dataplane/iptablesSync.ts';
import { IP_FAMILIES, type IpFamily } from '../net/family.ts';
import { readBackendChoice, writeBackendChoice } from '../rendezvous/backendChoice.ts';
import { readHeartbeat, type Heartbeat } from '../rendezvous/heartbeat.ts';
import { makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import type { Context } from './context.ts';
import { CniError } from './errors.ts';

/** The filter table of each family whose iptables-restore is installed. */
export type Tables = ReadonlyMap<IpFamily, Table>;

/**
 * Returns the backend for a pod to come: the configuration's, else the live agent's, else the one chosen before, else what others on this node
 * use. Throws a CniError when the live agent writes into another one than the configuration names, or when there is none.
 */
export function settleBackend(context: Context, agent: Heartbeat | undefined): Backend {
  const { config, env, log } = context;
  const agreed = agreedBackend(context, agent);
  if (agreed !== undefined) return agreed;
  const choice = detectBackend(env);
  if (choice === undefined) throw missingTool('iptables-nft-restore or iptables-legacy-restore', env);
  makeRuntimeDir(config.runtimeDir);
  writeBackendChoice(config.runtimeDir, choice.backend);
  log('info', 'Chose the backend', { ...choice });
  return choice.backend;
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

/** Returns the tables that pods of this node are hooked in by; none when none ever was. `wasHooked` tells that one was for certain. */
export function knownTables(context: Context, wasHooked: boolean): Tables {
  const agent = readHeartbeat(context.config.runtimeDir);
  const known = isBackend(agent?.backend) ? agent.backend : knownBackend(context, agent);
  const backend = known ?? (wasHooked ? detectBackend(context.env)?.backend : undefined);
  return backend === undefined ? new Map() : findTables(backend, context);
}

/** Returns the tables of a backend. */
export function findTables(backend: Backend, { env }: Pick<Context, 'env'>): Tables {
  return new Map(
    IP_FAMILIES.flatMap((family) => {
      const table = findTable(family, { backend, env });
      return table === undefined ? [] : [[family, table] as const];
    }),
  );
}

/** Returns one family's table. Throws a CniError when its program is not installed. */
export function requireTable(
  tables: Tables,
  { family, backend, env }: { readonly family: IpFamily; readonly backend: Backend } & Pick<Context, 'env'>,
): Table {
  const table = tables.get(family);
  if (table === undefined) throw missingTool(restoreCommand(family, backend), env);
  return table;
}

function missingTool(name: string, env: Context['env']): CniError {
  return new CniError('toolMissing', {
    msg: `Cannot write rules: ${name} is not installed`,
    details: `Install iptables, or have the container runtime start plugins with a PATH that leads to it; it is ${JSON.stringify(env['PATH'] ?? '')}`,
  });
}
