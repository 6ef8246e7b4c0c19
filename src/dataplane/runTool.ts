import { spawnSync } from './spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from './tools.ts';

const COMMAND_LIMIT_MS = 10_000;

/** Runs a program that takes no input, and returns why it could not do what it was told, or `undefined` when it has. */
export function runTool(name: string, args: readonly string[], env: Environment): string | undefined {
  const file = findTool(name, env);
  if (file === undefined) return `"${name}" is not installed`;
  const { status, signal, error, stderr } = spawnSync(file, args, {
    input: '',
    env: toolEnvironment(env),
    timeoutMs: COMMAND_LIMIT_MS,
  });
  if (status === 0) return undefined;
  return stderr.trim() || (error?.code ?? signal ?? `exit code ${status}`);
}
