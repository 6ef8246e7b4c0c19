import { familyOf } from '../net/family.ts';
import { hasNothingToDelete } from './conntrackErrors.ts';
import { runTool } from './runTool.ts';
import type { Environment } from './tools.ts';

/**
 * Deletes every flow that an address began: what still answers to an earlier holder of it must not count as replies to the next one. Returns why
 * that could not be done, or `undefined` when it was.
 */
export function deleteFlowsFrom(address: string, env: Environment): string | undefined {
  const problem = runTool('conntrack', ['-D', '-f', familyOf(address), '-s', address], env);
  return problem === undefined || hasNothingToDelete(problem) ? undefined : problem;
}
