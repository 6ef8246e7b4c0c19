import { chainChanges } from './chainChanges.ts';
import { setChanges } from './setChanges.ts';
import {
  at,
  nftComment,
  NFT_FAMILIES,
  type NftCommands,
  type NftFamily,
  type NftTable,
  type NftTables,
} from './table.ts';

/** Both tables as they should be. */
export type WantedTables = Readonly<Record<NftFamily, NftTable>>;

/** What belongs to pods that an ADD or DEL under way is writing: it is left as it is. */
export interface Untouched {
  readonly chains: ReadonlySet<string>;
  readonly interfaces: ReadonlySet<string>;
}

export interface NftPlan {
  /** One transaction; empty when there is nothing to do. */
  readonly commands: NftCommands;
  /** Whether a live flow may be refused from now on, so that all must be judged again: the transaction must begin a new generation. */
  readonly closes: boolean;
  /** What the tables hold once the transaction is committed. */
  readonly after: WantedTables;
}

/** The way from one table to what is wanted of it. */
export interface TableChange {
  readonly family: NftFamily;
  readonly present: NftTable;
  readonly wanted: NftTable;
  readonly untouched: Untouched;
}

/** Returns the families whose table must be made anew: there is none, or it cannot become what is wanted by changes within it. */
export function familiesToMake(actual: NftTables, wanted: WantedTables): readonly NftFamily[] {
  return NFT_FAMILIES.filter((family) => {
    const present = actual[family];
    return present === undefined || isBroken(present, wanted[family]);
  });
}

/**
 * Returns the plan from `actual` to `wanted`. Within the transaction what is led to comes before what leads there, and what is stale goes last.
 * The chains of the generation are made, and filled by `withGeneration`.
 */
export function planTables(
  actual: NftTables,
  { wanted, untouched }: { readonly wanted: WantedTables; readonly untouched: Untouched },
): NftPlan {
  const toMake = familiesToMake(actual, wanted);
  const plan = (family: NftFamily) => {
    const present = toMake.includes(family) ? undefined : actual[family];
    const changes = tableChanges({ family, present: present ?? EMPTY, wanted: wanted[family], untouched });
    if (present !== undefined) return changes;
    return { ...changes, commands: [...anew(family, actual), ...changes.commands], closes: true };
  };
  const { inet, bridge } = { inet: plan('inet'), bridge: plan('bridge') };
  return {
    commands: [...inet.commands, ...bridge.commands],
    closes: inet.closes || bridge.closes,
    after: { inet: inet.after, bridge: bridge.after },
  };
}

const EMPTY: NftTable = { chains: new Map(), sets: new Map() };

function anew(family: NftFamily, actual: NftTables): NftCommands {
  const old = actual[family] === undefined ? [] : [`delete table ${at(family)}`];
  return [...old, addTable(family)];
}

function addTable(family: NftFamily): string {
  return `add table ${at(family)} { ${nftComment('NetworkPolicy, kept by kube-nwplcy')}; }`;
}

function isBroken(present: NftTable, wanted: NftTable): boolean {
  const isOtherChain = [...wanted.chains].some(([name, { hook }]) => {
    const chain = present.chains.get(name);
    return chain !== undefined && chain.hook !== hook;
  });
  const isOtherSet = [...wanted.sets].some(([name, { kind, type }]) => {
    const set = present.sets.get(name);
    return set !== undefined && (set.kind !== kind || set.type !== type);
  });
  return present.isStrange === true || isOtherChain || isOtherSet;
}

function tableChanges(change: TableChange): {
  readonly commands: NftCommands;
  readonly closes: boolean;
  readonly after: NftTable;
} {
  const chains = chainChanges(change);
  const sets = setChanges(change, chains.after);
  return {
    commands: [...chains.made, ...sets.made, ...chains.filled, ...sets.filled, ...chains.gone, ...sets.gone],
    closes: chains.closes || sets.closes,
    after: { chains: chains.after, sets: sets.after },
  };
}

/** What changes of one kind of things in a table. Commands of the same step, whatever the kind, come before those of the next. */
export interface Changes<Item> {
  readonly made: NftCommands;
  readonly filled: NftCommands;
  readonly gone: NftCommands;
  readonly closes: boolean;
  readonly after: ReadonlyMap<string, Item>;
}
