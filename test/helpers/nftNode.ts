import { parseTable } from '../../src/rules/nftables/listing.ts';
import { TABLE_NAME } from '../../src/rules/nftables/names.ts';
import { NFT_FAMILIES, type NftCommands, type NftFamily, type NftTables } from '../../src/rules/nftables/table.ts';
import type { HookName } from './nftModel.ts';
import { priorityOf } from './nftPriorities.ts';
import type { NftRuleset } from './nftRuleset.ts';

/** Returns one of our tables as `nft --stateless --numeric-priority list table` prints it, or `undefined` where there is none. */
export function listedTable(ruleset: NftRuleset, family: NftFamily): string | undefined {
  if (!ruleset.tables.has(`${family} ${TABLE_NAME}`)) return undefined;
  return ruleset.list(family, TABLE_NAME).replaceAll(/ hook \w+ priority [^;]+;/g, (text) => {
    const [, hook = '', name = '', sign = '', offset = '0'] =
      /hook (\w+) priority (\S+?)(?: ([+-]) (\d+))?;/.exec(text) ?? [];
    const start = priorityOf(name, { family, hook: hook as HookName });
    return ` hook ${hook} priority ${start + Number(sign + offset)};`;
  });
}

/** Returns both of our tables as the product reads them. */
export function readTables(ruleset: NftRuleset): NftTables {
  const [inet, bridge] = NFT_FAMILIES.map((family) => {
    const text = listedTable(ruleset, family);
    return text === undefined ? undefined : parseTable(text);
  });
  return { inet, bridge };
}

/** Commits commands as one transaction. Throws as `NftRuleset.commit` does. */
export function commit(ruleset: NftRuleset, commands: NftCommands): void {
  ruleset.commit(commands.join('\n'));
}

/** Returns the chains, sets and maps of both tables as they are listed, by family and name. */
export function listedBlocks(ruleset: NftRuleset): ReadonlyMap<string, string> {
  return new Map(
    NFT_FAMILIES.flatMap((family) =>
      [...(listedTable(ruleset, family) ?? '').matchAll(/^\t\w+ (\S+) \{\n[^]*?^\t\}/gm)].map(
        ([block, name]) => [`${family} ${name}`, block] as const,
      ),
    ),
  );
}

/** Returns the same without what differs by the way that led there: the order, the generations and what stands behind the present one. */
export function settledBlocks(ruleset: NftRuleset): ReadonlyMap<string, string> {
  const blocks = [...listedBlocks(ruleset)].map(([name, block]) => {
    const isOfGeneration = /^inet (?:judged|settle)$/.test(name);
    return [
      name,
      isOfGeneration ? block.replace(/(?:\t\tct mark .*\n\t\treturn\n)+/, 'GENERATIONS\n') : block,
    ] as const;
  });
  return new Map(blocks.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
