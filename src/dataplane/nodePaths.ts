import type { NodePaths } from '../trace/firstPacket.ts';
import { CommandError } from './commandError.ts';
import { spawnSync } from './spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from './tools.ts';

const COMMAND_LIMIT_MS = 10_000;

/** Returns this node's interfaces and routes, as the program `ip` tells of them. Asking throws a CommandError where it cannot be run. */
export function nodePaths(env: Environment): NodePaths {
  return {
    bridgeOf: (name) => ask(['link', 'show', 'dev', name], env)?.master,
    routeTo: (address) => {
      const route = ask(['route', 'get', address], env);
      if (route?.type === 'local') return 'local';
      return route?.dev === undefined ? undefined : { interface: route.dev };
    },
  };
}

type Row = Partial<Record<'master' | 'type' | 'dev', string>>;

/** Returns the first object of what is printed, `undefined` where there is no such interface or route. */
function ask(args: readonly string[], env: Environment): Row | undefined {
  const { status, signal, error, stdout, stderr } = spawnSync(findTool('ip', env) ?? 'ip', ['-json', ...args], {
    input: '',
    env: toolEnvironment(env),
    timeoutMs: COMMAND_LIMIT_MS,
  });
  if (status === null) {
    const result = { signal: signal ?? undefined, code: error?.code, stderr };
    throw new CommandError({ file: 'ip', args, result });
  }
  const printed: unknown = status === 0 ? JSON.parse(stdout || '[]') : [];
  return Array.isArray(printed) ? (printed[0] as Row | undefined) : undefined;
}
