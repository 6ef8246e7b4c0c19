import type { FoundSet } from '../../rules/heldSets.ts';
import { parseIpsetSave } from '../../rules/iptables/ipsetPlan.ts';
import { isOurSet } from '../../rules/names.ts';
import { CommandError } from '../commandError.ts';
import { runProgram } from '../runProgram.ts';

/** Runs the lines of an ipset plan in order. What is there already, or gone already, is no error. Throws a CommandError. */
export async function restoreIpsets(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run(['restore', '-exist'], `${lines.join('\n')}\n`);
}

/** Returns our sets as they are in the kernel. Throws a CommandError. */
export async function readIpsets(): Promise<ReadonlyMap<string, FoundSet>> {
  return parseIpsetSave(await run(['save'], ''), isOurSet);
}

/** Returns how many members each of our sets has: much cheaper than the members. Throws a CommandError. */
export async function countIpsetMembers(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const block of (await run(['list', '-terse'], '')).split('\n\n')) {
    const name = /^Name: (\S+)$/m.exec(block)?.[1];
    const count = /^Number of entries: ([0-9]+)$/m.exec(block)?.[1];
    if (name !== undefined && count !== undefined && isOurSet(name)) counts.set(name, Number(count));
  }
  return counts;
}

async function run(args: readonly string[], input: string): Promise<string> {
  const result = await runProgram('ipset', { args, input });
  if (result.failed) throw new CommandError({ file: 'ipset', args, result });
  return result.stdout;
}
