import { IP_FAMILIES, familyOf, type IpFamily } from '../net/family.ts';
import { CommandError } from '../dataplane/commandError.ts';
import { isBusy, isOutdated } from '../dataplane/iptablesErrors.ts';
import { readChains, readLeadingChains, restore, type Table } from '../dataplane/iptablesSync.ts';
import { pause } from '../dataplane/pause.ts';
import type { AttachmentId } from '../rendezvous/attachment.ts';
import { EGRESS_CHAIN, INGRESS_CHAIN, podChainName } from '../rules/names.ts';
import type { PodHooks } from '../rules/podChains.ts';
import { deletePod, deleteRemains, podChainNames, type RestoreLines } from '../rules/podRestore.ts';
import type { Context } from './context.ts';
import { CniError } from './errors.ts';
import type { Tables } from './tables.ts';

const LOOKS = 5;
const LOOK_AGAIN_MS = 5;

/**
 * Takes a pod out of the kernel, whatever is left of it there. A family that the pod has no address in, and a pod that nothing is known of, are
 * given up with a warning where the kernel refuses for good: nothing, or next to nothing, is there to be forgotten. Throws a
 * CommandError, or a CniError when the program for one of the pod's addresses is not installed.
 */
export function unhook(
  tables: Tables,
  { id, hooks, log }: { readonly id: AttachmentId; readonly hooks: PodHooks | undefined } & Pick<Context, 'log'>,
): void {
  const addressed = new Set((hooks?.addresses ?? []).map(familyOf));
  for (const family of IP_FAMILIES) {
    const table = tables.get(family);
    if (table === undefined && addressed.has(family)) throw unreachable(family);
    if (table === undefined) continue;
    try {
      unhookFamily(table, { id, hooks });
    } catch (error) {
      if (!(error instanceof CommandError) || addressed.has(family) || isBusy(error)) throw error;
      log('warn', 'Cannot look for rules of a gone pod', { ...id, family, reason: error.message });
    }
  }
}

/** Takes a pod out of one family's table. Throws a CommandError. */
export function unhookFamily(
  table: Table,
  { id, hooks }: { readonly id: AttachmentId; readonly hooks: PodHooks | undefined },
): void {
  if (hooks !== undefined && succeeds(table, deletePod(hooks, table.family))) return;
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
  const names = [EGRESS_CHAIN, INGRESS_CHAIN, ...own.toReversed()];
  const seen = readLeadingChains(table, names);
  const stoppedAt = names[seen.size];
  const hooks = deleteRemains(id, { hookRules: seen, chains: new Set() });
  if (stoppedAt === podChainName('egress', id) && hooks.length === 0) return [];
  const isWhole = stoppedAt === undefined || stoppedAt === names.at(-1);
  const found = isWhole ? seen : readChains(table, names);
  return deleteRemains(id, { hookRules: found, chains: new Set(own.filter((name) => found.has(name))) });
}

function unreachable(family: IpFamily): CniError {
  return new CniError('toolMissing', {
    msg: `Cannot take the pod's rules out: the program that wrote them for ${family} is not installed any more`,
    details: 'Install iptables; the runtime will try again',
  });
}
