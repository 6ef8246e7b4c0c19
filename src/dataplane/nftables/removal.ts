import { at, NFT_FAMILIES } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { count, type Removed } from '../removed.ts';
import { findTool, type Environment } from '../tools.ts';
import { commitNft, listTables, type NftProgram } from './nftSync.ts';

/** Deletes our two tables. Of others' tables the names are read, and nothing else. */
export function removeTables({ env, dryRun }: { readonly env: Environment; readonly dryRun: boolean }): Removed {
  const from = 'nftables';
  const file = findTool('nft', env);
  const tables = file === undefined ? [] : ourTables({ file, env });
  if (file === undefined || tables.length === 0) return { from, what: undefined, problem: undefined };
  try {
    if (!dryRun)
      commitNft(
        { file, env },
        tables.map((table) => `delete table ${table}`),
      );
    return { from, what: count(tables.length, 'table'), problem: undefined };
  } catch (error) {
    if (error instanceof CommandError) return { from, what: undefined, problem: error.message };
    throw error;
  }
}

function ourTables(program: NftProgram): readonly string[] {
  const listed = listTables(program).stdout.split('\n');
  return NFT_FAMILIES.map((family) => at(family)).filter((table) => listed.includes(`table ${table}`));
}
