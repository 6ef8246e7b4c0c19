import { IP_FAMILIES } from '../../net/family.ts';
import { JUMPS, STANDING_CHAINS } from '../../rules/iptables/entryChains.ts';
import { jumpStates } from '../../rules/iptables/kernelChains.ts';
import { ENTRY_CHAIN, isBucketChain, isPodChain, isProfileChain, PROFILES_CHAIN } from '../../rules/names.ts';
import { targetOf } from '../../rules/iptables/chain.ts';
import { HOOK_CHAINS } from '../../rules/iptables/hooks.ts';
import { podChainNames, type RestoreLines } from '../../rules/iptables/podRestore.ts';
import { deleteListedJumps, listChains, removeEmptyTable, type ListedChain, type ListedTable } from './chainNames.ts';
import { CommandError } from '../commandError.ts';
import { isOutdated, isUnreadable } from './errors.ts';
import { findTable, readChains, readWithBuckets, restore, type IptablesVariant, type Table } from './sync.ts';
import { pause } from '../pause.ts';
import { count, type Removed } from '../removed.ts';
import type { Environment } from '../tools.ts';

export interface RemovalOptions {
  readonly env: Environment;
  /** Whether to look only. */
  readonly dryRun: boolean;
  /** The attachments on record: their chains are found though nothing leads there any more. */
  readonly attachments: readonly { readonly containerId: string; readonly ifName: string }[];
}

const LOOKS = 10;
const LOOK_AGAIN_MS = 20;

/** Takes our jumps and chains out in one transaction for each family, in these worlds of iptables as far as they are there. Goes on past failures. */
export function removeIptables(variants: readonly IptablesVariant[], options: RemovalOptions): readonly Removed[] {
  const tables = variants.flatMap((backend) =>
    IP_FAMILIES.flatMap((family) => {
      const table = findTable(family, { backend, env: options.env });
      return table === undefined ? [] : [{ backend, family, table }];
    }),
  );
  return tables.map((found) => removeChains(found, options));
}

function removeChains(found: ListedTable, options: RemovalOptions): Removed {
  const from = `${found.backend} ${found.family}`;
  try {
    for (let look = 1; ; look += 1) {
      const present = lookForOurs(found, options);
      if (present.chains.length === 0) return { from, what: undefined, problem: undefined };
      if (options.dryRun || isRemoved(found, { present, isLast: look === LOOKS }))
        return { from, what: amount(present), problem: undefined };
      pause(LOOK_AGAIN_MS);
    }
  } catch (error) {
    if (error instanceof CommandError) return { from, what: undefined, problem: `${error.message}${adviceFor(error)}` };
    throw error;
  }
}

/** All else that makes the input fail was looked at again. */
function adviceFor(error: CommandError): string {
  return isOutdated(error) ? '; does a rule of others lead to a chain of ours? Remove it and run this again' : '';
}

interface Ours {
  readonly chains: readonly string[];
  readonly jumps: readonly (keyof typeof JUMPS)[];
  /** FORWARD and OUTPUT where our jump has brought them into being. */
  readonly base: readonly ListedChain[];
  /** Whether the table came with our chains. */
  readonly madeTable: boolean;
}

/** Chains that a plugin may still be writing make the transaction fail: then a new look tells more. */
function isRemoved(
  found: ListedTable,
  { present, isLast }: { readonly present: Ours; readonly isLast: boolean },
): boolean {
  try {
    restore(found.table, removalLines({ ...present, jumps: deletable(found, present.jumps) }));
  } catch (error) {
    if (!isLast && error instanceof CommandError && isOutdated(error)) return false;
    throw error;
  }
  for (const { name } of present.base) removeBaseChain(found.table, name);
  if (present.madeTable) removeEmptyTable(found.family, found.table.env);
  return true;
}

/** Returns the jumps that iptables can delete; nft does it where it cannot, just before: packets then pass as they will afterwards. */
function deletable({ backend, family, table }: ListedTable, jumps: Ours['jumps']): Ours['jumps'] {
  if (backend === 'iptables-legacy') return jumps;
  const hidden = new Set(jumps.filter((chain) => lookFor(chain, table) === 'hidden'));
  for (const chain of hidden) deleteListedJumps(family, { chain, env: table.env });
  return jumps.filter((chain) => !hidden.has(chain));
}

/** Without the jumps no packet enters; all chains are emptied before the first is removed, so that none is led to. */
function removalLines({ jumps, chains }: Ours): RestoreLines {
  return [
    ...jumps.map((chain) => `-D ${chain} ${JUMPS[chain]}`),
    ...chains.map((name) => `-F ${name}`),
    ...chains.map((name) => `-X ${name}`),
  ];
}

/** The kernel refuses while anybody has a rule there, and iptables while it has another policy than ACCEPT. */
function removeBaseChain(table: Table, name: string): void {
  try {
    restore(table, [`-X ${name}`]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
}

function lookForOurs(found: ListedTable, { attachments }: RemovalOptions): Ours {
  const listed = listChains(found) ?? chainsLedTo(found.table, attachments);
  const ours = listed.filter(({ name }) => isOurChain(name));
  const first = Math.min(...ours.map(({ handle }) => handle));
  return {
    chains: ours.map(({ name }) => name),
    jumps: ours.some(({ name }) => name === ENTRY_CHAIN) ? findJumps(found.table) : [],
    base: listed.filter(({ name, handle }) => (name === 'FORWARD' || name === 'OUTPUT') && handle > first),
    madeTable: first === 1,
  };
}

/** Where chains cannot be listed, ours are found as an agent that was started again finds them. */
function chainsLedTo(table: Table, attachments: RemovalOptions['attachments']): readonly ListedChain[] {
  const standing = readStanding(table);
  const led = [...standing].flatMap(([name, rules]) => (leadsToOurs(name) ? rules.map(targetOf) : []));
  const more = new Set(
    [...led, ...attachments.flatMap(podChainNames)].filter((name) => isOurChain(name) && !standing.has(name)),
  );
  const names = [...standing.keys(), ...readChains(table, [...more]).keys()];
  return names.map((name) => ({ name, handle: Number.NaN }));
}

/** Tells whether a chain holds hooks or names profiles. */
function leadsToOurs(name: string): boolean {
  return HOOK_CHAINS.some((chain) => chain === name) || isBucketChain(name) || name === PROFILES_CHAIN;
}

/** A program without its part of the kernel finds no table, and there is none. */
function readStanding(table: Table): ReturnType<typeof readChains> {
  try {
    return readWithBuckets(table, STANDING_CHAINS);
  } catch (error) {
    if (error instanceof CommandError && /Failed to initialize nft|not supported/.test(error.stderr)) return new Map();
    throw error;
  }
}

/** Tells whether a chain has a name that only we give. */
function isOurChain(name: string): boolean {
  return (
    STANDING_CHAINS.includes(name) ||
    isProfileChain(name) ||
    isBucketChain(name) ||
    (isPodChain(name) && /^.{10}[A-Z2-7]{18}$/.test(name))
  );
}

/** Returns the chains of others that jump to ours, each as often as it does. */
function findJumps(table: Table): readonly (keyof typeof JUMPS)[] {
  return (['FORWARD', 'OUTPUT'] as const).flatMap((chain) => {
    const printed = readChains(table, [chain]);
    if (printed.has(chain)) return Array.from({ length: jumpStates(printed)[chain].count }, () => chain);
    // A foreign rule that iptables-nft cannot print hides the whole chain. It can often still be asked for ours.
    return lookFor(chain, table) === 'missing' ? [] : [chain];
  });
}

function lookFor(chain: keyof typeof JUMPS, table: Table): 'found' | 'missing' | 'hidden' {
  try {
    restore(table, [`-C ${chain} ${JUMPS[chain]}`]);
    return 'found';
  } catch (error) {
    if (error instanceof CommandError) return isUnreadable(error) ? 'hidden' : 'missing';
    throw error;
  }
}

function amount({ jumps, chains }: Ours): string {
  return [...(jumps.length > 0 ? [count(jumps.length, 'jump')] : []), count(chains.length, 'chain')].join(' and ');
}
