import type { IpFamily } from '../../net/family.ts';
import { JUMPS, STANDING_CHAINS } from '../../rules/iptables/entryChains.ts';
import { podHookRules } from '../../rules/iptables/hooks.ts';
import { holderOf, placesToTry, podChainNames, type HookPlace } from '../../rules/iptables/podRestore.ts';
import { ENTRY_CHAIN } from '../../rules/names.ts';
import type { PodHooks } from '../../rules/pod.ts';
import { CommandError } from '../commandError.ts';
import { readJumps } from './jumpsSync.ts';
import { readWithBuckets, restore, type Table } from './sync.ts';

interface MissingOptions {
  readonly agent: boolean;
  readonly settled: boolean;
}

/**
 * Returns, in words, what of a pod is not in place in one family's table. `agent`: a live agent sees to all that is not the pod's own, so that it is
 * looked at only where something of the pod's own is missing; `settled` tells where to look for hooks first. Writes nothing.
 */
export function missingInTable(
  table: Table | undefined,
  { family, hooks, agent, settled }: MissingOptions & { readonly family: IpFamily; readonly hooks: PodHooks },
): readonly string[] {
  if (table === undefined) return [`the program that reads the rules of ${family}`];
  try {
    if (agent && placesToTry(settled).some((place) => hasAllOwn(table, hooks, place))) return [];
    return missingChains(table, hooks).map((what) => `${family}: ${what}`);
  } catch (error) {
    if (error instanceof CommandError) return [`${family}: the rules can be read (${error.message})`];
    throw error;
  }
}

/** By one process, which says no more than that something is missing. */
function hasAllOwn(table: Table, hooks: PodHooks, place: HookPlace): boolean {
  try {
    restore(table, [
      ...podChainNames(hooks).map((name) => `-S ${name}`),
      ...podHookRules(hooks, table.family).map((hook) => `-C ${holderOf(hook, place)} ${hook.rule}`),
    ]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

function missingChains(table: Table, hooks: PodHooks): readonly string[] {
  const names = [...STANDING_CHAINS, ...podChainNames(hooks)];
  const found = readWithBuckets(table, names);
  const missingHooks = podHookRules(hooks, table.family)
    .filter(
      (hook) => !(['head', 'bucket'] as const).some((place) => found.get(holderOf(hook, place))?.includes(hook.rule)),
    )
    .map(({ chain, rule }) => `hook "${rule}" in ${chain}`);
  return [
    ...names.filter((name) => !found.has(name)).map((name) => `chain ${name}`),
    ...missingHooks,
    ...missingJumps(table, found.has(ENTRY_CHAIN)),
  ];
}

function missingJumps(table: Table, hasEntry: boolean): readonly string[] {
  const jumps = hasEntry ? readJumps(table) : ({ FORWARD: 'missing', OUTPUT: 'missing' } as const);
  return (['FORWARD', 'OUTPUT'] as const)
    .filter((chain) => jumps[chain] === 'missing')
    .map((chain) => `"${JUMPS[chain]}" in ${chain}`);
}
