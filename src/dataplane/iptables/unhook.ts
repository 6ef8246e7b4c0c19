import { CommandError } from '../commandError.ts';
import { isOutdated } from './errors.ts';
import { readLeadingChains, readWithBuckets, restore, type Table } from './sync.ts';
import { pause } from '../pause.ts';
import { HOOK_CHAINS } from '../../rules/iptables/hooks.ts';
import { podChainName } from '../../rules/names.ts';
import type { AttachmentId, PodHooks } from '../../rules/pod.ts';
import {
  deletePod,
  deleteRemains,
  placesToTry,
  podChainNames,
  type RestoreLines,
} from '../../rules/iptables/podRestore.ts';

const LOOKS = 5;
const LOOK_AGAIN_MS = 5;

/** Takes a pod out of one family's table; `settled` tells where to try first. Throws a CommandError. */
export function unhookFamily(
  table: Table,
  {
    id,
    hooks,
    settled,
  }: { readonly id: AttachmentId; readonly hooks: PodHooks | undefined; readonly settled: boolean },
): void {
  const { family } = table;
  if (hooks !== undefined && placesToTry(settled).some((place) => succeeds(table, deletePod(hooks, { family, place }))))
    return;
  for (let look = 1; look <= LOOKS; look += 1) {
    const lines = remains(table, id);
    if (succeeds(table, lines)) return;
    pause(LOOK_AGAIN_MS);
  }
  restore(table, remains(table, id));
}

function succeeds(table: Table, lines: RestoreLines): boolean {
  if (lines.length === 0) return true;
  try {
    restore(table, lines);
    return true;
  } catch (error) {
    if (error instanceof CommandError && isOutdated(error)) return false;
    throw error;
  }
}

/**
 * Looks once where it can: what the pod has in a table includes its egress chain, so that without that chain, and without a hook that leads to
 * the pod, there is nothing.
 */
function remains(table: Table, id: AttachmentId): RestoreLines {
  const own = podChainNames(id);
  const names = [...HOOK_CHAINS, ...own.toReversed()];
  const seen = readLeadingChains(table, names);
  const stoppedAt = names[seen.size];
  const hooks = deleteRemains(id, { hookRules: seen, chains: new Set() });
  if (stoppedAt === podChainName('egress', id) && hooks.length === 0) return [];
  const found = readWithBuckets(table, names);
  return deleteRemains(id, { hookRules: found, chains: new Set(own.filter((name) => found.has(name))) });
}
