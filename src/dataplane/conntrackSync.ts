import { familyOf } from '../net/family.ts';
import { spawnSync } from './spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from './tools.ts';

const COMMAND_LIMIT_MS = 10_000;

/**
 * Deletes every flow that an address began: what still answers to an earlier holder of it must not count as replies to the next one. Returns why
 * that could not be done, or `undefined` when it was.
 */
export function deleteFlowsFrom(address: string, env: Environment): string | undefined {
  const file = findTool('conntrack', env);
  if (file === undefined) return '"conntrack" is not installed';
  const args = ['-D', '-f', familyOf(address), '-s', address];
  const { status, stderr } = spawnSync(file, args, {
    input: '',
    env: toolEnvironment(env),
    timeoutMs: COMMAND_LIMIT_MS,
  });
  // Nothing to delete is told as a failure.
  return status === 0 || /\b0 flow entries/.test(stderr) ? undefined : stderr.trim();
}
