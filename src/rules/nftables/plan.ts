import type { SetPlan } from '../heldSets.ts';
import { chainChanges } from './chainChanges.ts';
import { addSet } from './commands.ts';
import { peerChanges, type PeerChanges } from './peerChanges.ts';
import type { NftPeerSet } from './peerSets.ts';
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

/** Both tables as they should be, but for the sets of peers. */
export type WantedTables = Readonly<Record<NftFamily, NftTable>>;

/** What belongs to pods that an ADD or DEL under way is writing: it is left as it is. */
export interface Untouched {
  readonly chains: ReadonlySet<string>;
  readonly interfaces: ReadonlySet<string>;
}

export interface NftPlan {
  /** One transaction; empty when there is nothing to do. */
  readonly commands: NftCommands;
  /** What nobody leads to after that, for a transaction of its own: nft reads all sets and chains of the node before it deletes one. */
  readonly cleanUp: NftCommands;
  /** Whether a live flow may be refused from now on, so that all must be judged again: the transaction must begin a new generation. */
  readonly closes: boolean;
  /** What the tables hold once the transaction is committed, beside the sets of peers. */
  readonly after: WantedTables;
  /** The sets of peers that are deleted. */
  readonly deletedPeers: readonly string[];
}

/** The way from one table to what is wanted of it. */
export interface TableChange {
  readonly family: NftFamily;
  readonly present: NftTable;
  readonly wanted: NftTable;
  readonly untouched: Untouched;
}

/** Returns the families whose table must be made anew: there is none, or it cannot become what is wanted by changes within it. */
export function familiesToMake(
  actual: NftTables,
  { wanted, misfits }: { readonly wanted: WantedTables; readonly misfits: readonly string[] },
): readonly NftFamily[] {
  return NFT_FAMILIES.filter((family) => {
    const present = actual[family];
    return present === undefined || isBroken(present, wanted[family]) || (family === 'inet' && misfits.length > 0);
  });
}

export interface PlanOptions {
  readonly wanted: WantedTables;
  /** Where the `inet` table is made anew, the plan from nothing; `undefined`: nothing is done to the sets of peers. */
  readonly peers?: SetPlan<NftPeerSet>;
  readonly untouched: Untouched;
  /** The families whose table is made anew. */
  readonly toMake: readonly NftFamily[];
}

/**
 * Returns the plan from `actual` to `wanted`. Within the transaction what is led to comes before what leads there, and what is stale goes after it.
 * The chains of the generation are made, and filled by `withGeneration`.
 */
export function planTables(actual: NftTables, { wanted, peers, untouched, toMake }: PlanOptions): NftPlan {
  const plan = (family: NftFamily) => {
    const present = toMake.includes(family) ? undefined : actual[family];
    const change = { family, present: present ?? EMPTY, wanted: wanted[family], untouched };
    const changes = tableChanges(change, family === 'inet' ? peers : undefined);
    if (present !== undefined) return changes;
    return { ...changes, commands: [...anew(family, actual), ...changes.commands], closes: true };
  };
  const { inet, bridge } = { inet: plan('inet'), bridge: plan('bridge') };
  return {
    commands: [...inet.commands, ...bridge.commands],
    cleanUp: [...inet.cleanUp, ...bridge.cleanUp],
    closes: inet.closes || bridge.closes,
    after: { inet: inet.after, bridge: bridge.after },
    deletedPeers: inet.deletedPeers,
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

interface Planned {
  readonly commands: NftCommands;
  readonly cleanUp: NftCommands;
  readonly closes: boolean;
  readonly after: NftTable;
  readonly deletedPeers: readonly string[];
}

function tableChanges(change: TableChange, plan: SetPlan<NftPeerSet> | undefined): Planned {
  const chains = chainChanges(change);
  const sets = setChanges(change, chains.after);
  const peers = plan === undefined ? NO_PEERS : peerChanges(plan, chains.left);
  const made = [...chains.made, ...sets.made, ...peers.made];
  const declared = declarations(change, { named: chains.named, plan }).filter((command) => !made.includes(command));
  return {
    commands: [...made, ...declared, ...chains.filled, ...sets.filled, ...peers.filled],
    cleanUp: [...chains.gone, ...sets.gone, ...peers.gone],
    closes: chains.closes || sets.closes || peers.closes,
    after: { chains: chains.after, sets: sets.after },
    deletedPeers: peers.deleted,
  };
}

const NO_PEERS: PeerChanges = { made: [], filled: [], gone: [], closes: false, deleted: [] };

/** Sets that are there already are declared as well: else nft looks for them in the kernel. */
function declarations(
  { family, wanted }: TableChange,
  { named, plan }: { readonly named: ReadonlySet<string>; readonly plan: SetPlan<NftPeerSet> | undefined },
): NftCommands {
  if (named.size === 0) return [];
  const peers = new Map((plan?.sets() ?? []).map((set) => [set.name, set]));
  return [...named].flatMap((name) => {
    const set = wanted.sets.get(name);
    const peer = peers.get(name);
    if (set !== undefined) return [addSet(family, { name, set })];
    return peer === undefined
      ? []
      : [addSet(family, { name, set: { kind: 'set', type: peer.type, comment: peer.comment } })];
  });
}

/** What changes of one kind of things in a table. Commands of the same step, whatever the kind, come before those of the next. */
export interface Changes<Item> {
  readonly made: NftCommands;
  readonly filled: NftCommands;
  readonly gone: NftCommands;
  readonly closes: boolean;
  readonly after: ReadonlyMap<string, Item>;
}
