import { OPEN, type PodHooks } from '../pod.ts';
import { podTable } from './podTable.ts';
import { STANDING_TABLES } from './standing.ts';
import { NFT_FAMILIES, verdictOf, type NftChain, type NftTables } from './table.ts';

/** Returns, in words, what of a pod that was hooked in, and of what must stand beside it, the tables lack. */
export function missingOfPod(hooks: PodHooks, tables: NftTables): readonly string[] {
  const { chains, elements } = podTable(hooks, OPEN);
  const standing = NFT_FAMILIES.flatMap((family) => {
    const table = tables[family];
    if (table === undefined) return [`table ${family} kube-nwplcy`];
    const wanted = STANDING_TABLES[family];
    return [
      ...[...wanted.chains].flatMap(([name, chain]) =>
        missingOfChain(chain, table.chains.get(name)).map((what) => `${what}${name} (${family})`),
      ),
      ...[...wanted.sets]
        .filter(([name]) => !table.sets.has(name))
        .map(([name, { kind }]) => `${kind} ${name} (${family})`),
    ];
  });
  const own = [...chains.keys()]
    .filter((name) => tables.inet?.chains.has(name) !== true)
    .map((name) => `chain ${name}`);
  const led = elements
    .filter(({ family, set, key, rest }) => {
      const found = tables[family]?.sets.get(set)?.elements.get(key);
      return found === undefined || verdictOf(found) !== verdictOf(rest);
    })
    .map(
      ({ set, key, rest }) => `element ${[key, verdictOf(rest)].filter((text) => text !== '').join(' : ')} (${set})`,
    );
  return [...standing, ...own, ...led];
}

/** The chains that a hook leads to have one rule each: without it no packet is judged. What the others hold the agent knows. */
function missingOfChain(wanted: NftChain, present: NftChain | undefined): readonly string[] {
  if (present === undefined || present.hook !== wanted.hook) return ['chain '];
  if (wanted.hook === undefined) return [];
  return wanted.rules.filter((rule) => !present.rules.includes(rule)).map((rule) => `"${rule}" in `);
}
