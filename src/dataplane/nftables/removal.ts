import { at, NFT_FAMILIES } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { count, type Removed } from '../removed.ts';
import { findTool, type Environment } from '../tools.ts';
import { commitNft, listTables } from './nftSync.ts';

/** Deletes our two tables. Of others' tables the names are read, and nothing else. */
export function removeTables({ env, dryRun }: { readonly env: Environment; readonly dryRun: boolean }): Removed {
  const from = 'nftables';
  const file = findTool('nft', env);
  if (file === undefined) return { from, what: undefined, problem: undefined };
  try {
    const present = listTables({ file, env });
    const ours = NFT_FAMILIES.map((family) => at(family)).filter((table) => present.includes(table));
    const commands = ours.map((table) => `delete table ${table}`);
    if (!dryRun && ours.length > 0) commitNft({ file, env }, commands);
    return { from, what: ours.length === 0 ? undefined : count(ours.length, 'table'), problem: undefined };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // A kernel without nf_tables has no tables.
    const isNone = /not supported/.test(error.stderr);
    return { from, what: undefined, problem: isNone ? undefined : error.message };
  }
}
