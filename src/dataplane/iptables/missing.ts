import type { IpFamily } from '../../net/family.ts';
import { JUMPS, STANDING_CHAINS } from '../../rules/iptables/entryChains.ts';
import { podHookRules } from '../../rules/iptables/podChains.ts';
import { HOOK_CHAINS, podChainNames } from '../../rules/iptables/podRestore.ts';
import { ENTRY_CHAIN } from '../../rules/names.ts';
import type { PodHooks } from '../../rules/pod.ts';
import { CommandError } from '../commandError.ts';
import { readJumps } from './jumpsSync.ts';
import { readChains, restore, type Table } from './sync.ts';

/**
 * Returns, in words, what of a pod is not in place in one family's table. `agent`: a live agent sees to all that is not the pod's own, so that it is
 * looked at only where something of the pod's own is missing. Writes nothing.
 */
export function missingInTable(
  table: Table | undefined,
  { family, hooks, agent }: { readonly family: IpFamily; readonly hooks: PodHooks; readonly agent: boolean },
): readonly string[] {
  if (table === undefined) return [`the program that reads the rules of ${family}`];
  try {
    if (agent && hasAllOwn(table, hooks)) return [];
    return missingChains(table, hooks).map((what) => `${family}: ${what}`);
  } catch (error) {
    if (error instanceof CommandError) return [`${family}: the rules can be read (${error.message})`];
    throw error;
  }
}

/** By one process, which says no more than that something is missing. */
function hasAllOwn(table: Table, hooks: PodHooks): boolean {
  const wanted = podHookRules(hooks, table.family);
  try {
    restore(table, [
      ...podChainNames(hooks).map((name) => `-S ${name}`),
      ...HOOK_CHAINS.flatMap((chain) => wanted[chain].map((rule) => `-C ${chain} ${rule}`)),
    ]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

function missingChains(table: Table, hooks: PodHooks): readonly string[] {
  const names = [...STANDING_CHAINS, ...podChainNames(hooks)];
  const found = readChains(table, names);
  const wanted = podHookRules(hooks, table.family);
  const missingHooks = HOOK_CHAINS.flatMap((chain) =>
    wanted[chain]
      .filter((rule) => !(found.get(chain) ?? []).includes(rule))
      .map((rule) => `hook "${rule}" in ${chain}`),
  );
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
