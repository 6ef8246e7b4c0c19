import type { NftChain, NftSet, NftTable, NftTables } from './nftModel.ts';
import { keyText } from './nftKeys.ts';
import { ruleText, verdictText } from './nftRulePrint.ts';

/** Returns what `nft monitor` of nft 1.0.6 prints of a transaction, one line an event, but for the generation's own line. */
export function nftEvents(before: NftTables, after: NftTables): readonly string[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])];
  return keys.flatMap((key) => tableEvents(key, { old: before.get(key), present: after.get(key) }));
}

interface Change<Item> {
  readonly old: Item | undefined;
  readonly present: Item | undefined;
}

function tableEvents(name: string, { old, present }: Change<NftTable>): readonly string[] {
  // A table of the same name may be another.
  const isOther = old?.handle !== present?.handle;
  const before = isOther ? undefined : old;
  const sets = namesIn(before?.sets, present?.sets).flatMap((set) =>
    setEvents(`${name} ${set}`, { old: before?.sets.get(set), present: present?.sets.get(set) }),
  );
  const chains = namesIn(before?.chains, present?.chains).flatMap((chain) =>
    chainEvents(`${name} ${chain}`, { old: before?.chains.get(chain), present: present?.chains.get(chain) }),
  );
  return [
    ...(old !== undefined && isOther ? [`delete table ${name}`] : []),
    ...(present !== undefined && isOther ? [`add table ${name}`] : []),
    ...sets,
    ...chains,
  ];
}

function namesIn(
  old: ReadonlyMap<string, unknown> | undefined,
  present: ReadonlyMap<string, unknown> | undefined,
): readonly string[] {
  return [...new Set([...(old?.keys() ?? []), ...(present?.keys() ?? [])])];
}

function setEvents(name: string, { old, present }: Change<NftSet>): readonly string[] {
  const known = old?.handle === present?.handle ? old : undefined;
  const elements = (set: NftSet | undefined) =>
    new Set(
      [...(set?.elements.values() ?? [])].map(({ key, comment, verdict }) =>
        [
          keyText(set?.types ?? [], key),
          ...(comment === undefined ? [] : [` comment "${comment}"`]),
          ...(verdict === undefined ? [] : [` : ${verdictText(verdict)}`]),
        ].join(''),
      ),
    );
  const kind = (present ?? old)?.kind ?? 'set';
  return [
    ...(old !== undefined && known === undefined ? [`delete ${kind} ${name}`] : []),
    ...(present !== undefined && known === undefined
      ? [`add ${kind} ${name} { type ${present.types.join(' . ')}; }`]
      : []),
    ...[...elements(known).difference(elements(present))].map((text) => `delete element ${name} { ${text} }`),
    ...[...elements(present).difference(elements(known))].map((text) => `add element ${name} { ${text} }`),
  ];
}

function chainEvents(name: string, { old, present }: Change<NftChain>): readonly string[] {
  const known = old?.handle === present?.handle ? old : undefined;
  const handles = (chain: NftChain | undefined) => new Set(chain?.rules.map(({ handle }) => handle));
  const [before, after] = [handles(known), handles(present)];
  const last = present?.rules.findLastIndex(({ handle }) => before.has(handle)) ?? -1;
  return [
    ...(old !== undefined && known === undefined ? [`delete chain ${name}`] : []),
    ...(present !== undefined && known === undefined ? [`add chain ${name}`] : []),
    ...(known?.rules ?? [])
      .filter(({ handle }) => !after.has(handle))
      .map(({ handle }) => `delete rule ${name} handle ${handle}`),
    ...(present?.rules ?? []).flatMap((rule, index) => {
      if (before.has(rule.handle)) return [];
      return [`${index < last ? 'insert' : 'add'} rule ${name} handle ${rule.handle} ${ruleText(rule)}`];
    }),
  ];
}
