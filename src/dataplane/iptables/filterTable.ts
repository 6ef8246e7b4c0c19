import { JUMPS } from '../../rules/iptables/entryChains.ts';
import { ENTRY_CHAIN } from '../../rules/names.ts';
import type { FilterTable } from '../../trace/iptables/follow.ts';
import { CommandError } from '../commandError.ts';
import { spawnSync } from '../spawnSync.ts';
import { findTool } from '../tools.ts';
import { readJumps } from './jumpsSync.ts';
import type { JumpPlace } from './nftListing.ts';
import { readChains, type Table } from './sync.ts';

const COMMAND_LIMIT_MS = 10_000;

/** One family's filter table as the kernel holds it, and where our jump stands in FORWARD. */
export interface KernelTable extends FilterTable {
  readonly forward: JumpPlace;
}

/**
 * Returns the table as it is in the kernel. Our own chains and sets are read one by one, when they are asked for; of FORWARD nothing is known but our
 * jump. Throws a CommandError, then and now.
 */
export function kernelTable(table: Table): KernelTable {
  const forward = readChain(table, ENTRY_CHAIN) === undefined ? 'missing' : readJumps(table).FORWARD;
  const known = new Map<string, readonly string[] | undefined>([
    ['FORWARD', forward === 'missing' ? [] : [JUMPS.FORWARD]],
  ]);
  return {
    family: table.family,
    forward,
    rulesOf: (chain) => {
      if (!known.has(chain)) known.set(chain, readChain(table, chain));
      return known.get(chain);
    },
    setText: (name) => readSet(name, table),
  };
}

function readChain(table: Table, chain: string): readonly string[] | undefined {
  return readChains(table, [chain]).get(chain);
}

function readSet(name: string, { env }: Table): string | undefined {
  const args = ['save', name];
  const { status, signal, error, stdout, stderr } = spawnSync(findTool('ipset', env) ?? 'ipset', args, {
    input: '',
    env,
    timeoutMs: COMMAND_LIMIT_MS,
  });
  if (status === 0) return stdout;
  if (/does not exist/.test(stderr)) return undefined;
  const result = { exitCode: status ?? undefined, signal: signal ?? undefined, code: error?.code, stderr };
  throw new CommandError({ file: 'ipset', args, result });
}
