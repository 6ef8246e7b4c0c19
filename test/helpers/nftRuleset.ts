import type { Command } from './nftCommand.ts';
import { commandsOf } from './nftCommands.ts';
import { tableText, type ListingOptions } from './nftListing.ts';
import type { NftChain, NftTable, NftTables } from './nftModel.ts';
import { chainOfVerdict, chainsOfRule, setsOfRule, type TableFamily } from './nftRule.ts';
import { NftTransaction } from './nftTransaction.ts';
import { RefusedError } from './restoreTable.ts';

/**
 * The nftables of a kernel, changed by nft text alone: commands as `nft -f -` takes them, or listings. It takes a text whole or, with a RefusedError, not
 * at all, and refuses what nft 1.0.6 and the kernel refuse.
 */
export class NftRuleset {
  #tables: NftTables = new Map();
  #handle = 0;

  /** Returns what the kernel holds after `text` alone. Throws as `commit` does. */
  static of(text: string): NftRuleset {
    const ruleset = new NftRuleset();
    ruleset.commit(text);
    return ruleset;
  }

  /** All tables by `family name`. The map is another after each transaction, and none changes. */
  get tables(): NftTables {
    return this.#tables;
  }

  /** Returns a table. Throws a RefusedError where there is none. */
  table(family: TableFamily, name: string): NftTable {
    const table = this.#tables.get(`${family} ${name}`);
    if (table === undefined) throw new RefusedError('Error: No such file or directory');
    return table;
  }

  /** Returns a table as `nft list table` prints it. Throws a RefusedError where there is none. */
  list(family: TableFamily, name: string, options: ListingOptions = {}): string {
    return tableText(this.table(family, name), options);
  }

  /** Returns a ruleset that holds the same and goes its own way from here. */
  copy(): NftRuleset {
    const copy = new NftRuleset();
    copy.#tables = this.#tables;
    copy.#handle = this.#handle;
    return copy;
  }

  /**
   * Commits one transaction. Throws a RefusedError for what nft or the kernel refuses, and an `Error` for words that this reader does not know. Nothing
   * has changed then.
   */
  commit(text: string): void {
    const transaction = new NftTransaction(this.#tables, () => (this.#handle += 1));
    for (const command of commandsOf(text)) runCommand(transaction, command);
    for (const table of transaction.tables.values()) refuseDepth(table);
    this.#tables = transaction.tables;
  }
}

function runCommand(transaction: NftTransaction, command: Command): void {
  try {
    transaction.run(command);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    throw new RefusedError(`line ${command.line}: Error: ${error.message}`);
  }
}

// A base chain and what it leads to, by jump or by goto (nf_tables.h, NFT_JUMP_STACK_SIZE).
const MAX_DEPTH = 16;

/** Refuses chains that lead too far from a base chain, or in a circle. What no base chain leads to may do so. */
function refuseDepth(table: NftTable): void {
  const depths = new Map<string, number>();
  for (const chain of table.chains.values())
    if (chain.base !== undefined && depthOf(table, { chain, depths, path: [] }) > MAX_DEPTH)
      throw tooManyLinks(chain.name);
}

interface Walk {
  readonly chain: NftChain;
  readonly depths: Map<string, number>;
  readonly path: readonly string[];
}

function depthOf(table: NftTable, { chain, depths, path }: Walk): number {
  const known = depths.get(chain.name);
  if (known !== undefined) return known;
  if (path.includes(chain.name)) throw tooManyLinks([...path, chain.name].join(' → '));
  const next = [...nextChains(table, chain)].flatMap((name) => table.chains.get(name) ?? []);
  const below = next.map((to) => depthOf(table, { chain: to, depths, path: [...path, chain.name] }));
  const depth = 1 + Math.max(0, ...below);
  depths.set(chain.name, depth);
  return depth;
}

function nextChains({ sets }: NftTable, { rules }: NftChain): ReadonlySet<string> {
  const maps = new Set(rules.flatMap(setsOfRule));
  const elements = [...maps].flatMap((name) => [...(sets.get(name)?.elements.values() ?? [])]);
  return new Set([...rules.flatMap(chainsOfRule), ...elements.flatMap(({ verdict }) => chainOfVerdict(verdict) ?? [])]);
}

function tooManyLinks(where: string): RefusedError {
  return new RefusedError(`Error: Could not process rule: Too many links: ${where}`);
}
