import type { Mark } from '../mark.ts';
import { withGeneration } from './generation.ts';
import { planTables } from './plan.ts';
import { STANDING_TABLES } from './standing.ts';
import { NFT_FAMILIES, type NftCommands, type NftTables } from './table.ts';

const NOTHING: NftTables = { inet: undefined, bridge: undefined };

/** Returns the commands that bring up what stands beside pods and profiles, or put it right where it is there already, and begin a generation. */
export function bringUpCommands(mark: Mark): NftCommands {
  const plan = planTables(NOTHING, {
    wanted: STANDING_TABLES,
    toMake: NFT_FAMILIES,
    untouched: { chains: new Set(), interfaces: new Set() },
  });
  return withGeneration(plan, mark).commands;
}
