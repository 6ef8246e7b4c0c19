import type { FoundSet } from '../../rules/heldSets.ts';
import { parseIpsetSave } from '../../rules/iptables/ipsetPlan.ts';
import { isOurSet, isRecordSet } from '../../rules/names.ts';
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

/** How many members sets have, by name. */
export interface IpsetSizes {
  readonly peers: ReadonlyMap<string, number>;
  /** Of those that packets fill. */
  readonly records: ReadonlyMap<string, number>;
}

/** Returns how many members each of our sets has: much cheaper than the members. Throws a CommandError. */
export async function countIpsetMembers(): Promise<IpsetSizes> {
  const [peers, records] = [new Map<string, number>(), new Map<string, number>()];
  for (const block of (await run(['list', '-terse'], '')).split('\n\n')) {
    const name = /^Name: (\S+)$/m.exec(block)?.[1];
    const count = /^Number of entries: ([0-9]+)$/m.exec(block)?.[1];
    if (name === undefined || count === undefined) continue;
    if (isOurSet(name)) peers.set(name, Number(count));
    else if (isRecordSet(name)) records.set(name, Number(count));
  }
  return { peers, records };
}

/** Returns what `ipset save` prints of one set. Throws a CommandError. */
export async function saveIpset(name: string): Promise<string> {
  return run(['save', name], '');
}

async function run(args: readonly string[], input: string): Promise<string> {
  const result = await runProgram('ipset', { args, input });
  if (result.failed) throw new CommandError({ file: 'ipset', args, result });
  return result.stdout;
}
