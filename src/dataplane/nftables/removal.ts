import { at, NFT_FAMILIES } from '../../rules/nftables/table.ts';
import { CommandError } from '../commandError.ts';
import { count, type Removed } from '../removed.ts';
import { spawnSync } from '../spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from '../tools.ts';
import { commitNft } from './nftSync.ts';

const LISTING_LIMIT_MS = 10_000;

/** Deletes our two tables. Of others' tables the names are read, and nothing else. */
export function removeTables({ env, dryRun }: { readonly env: Environment; readonly dryRun: boolean }): Removed {
  const from = 'nftables';
  const file = findTool('nft', env);
  const tables = file === undefined ? [] : ourTables(file, env);
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

function ourTables(file: string, env: Environment): readonly string[] {
  const { stdout } = spawnSync(file, ['list', 'tables'], {
    input: '',
    env: toolEnvironment(env),
    timeoutMs: LISTING_LIMIT_MS,
  });
  const listed = stdout.split('\n');
  return NFT_FAMILIES.map((family) => at(family)).filter((table) => listed.includes(`table ${table}`));
}
