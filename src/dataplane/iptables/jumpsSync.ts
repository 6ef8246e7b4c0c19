import { JUMPS } from '../../rules/iptables/entryChains.ts';
import { parseChains } from '../../rules/iptables/kernelChains.ts';
import type { RestoreLines } from '../../rules/iptables/podRestore.ts';
import { CommandError } from '../commandError.ts';
import { isUnreadable } from './errors.ts';
import { restore, type Table } from './sync.ts';
import { listedPlace, listingArguments, type JumpChain, type JumpPlace } from './nftListing.ts';
import { spawnSync } from '../spawnSync.ts';
import { findTool } from '../tools.ts';

const LISTING_LIMIT_MS = 10_000;

/** Returns where our jumps stand. The entry chain must exist. Nothing but our own line is looked for in others' chains. */
export function readJumps(table: Table): Readonly<Record<JumpChain, JumpPlace>> {
  return { FORWARD: forwardPlace(table), OUTPUT: outputPlace(table) };
}

function forwardPlace(table: Table): JumpPlace {
  const first = look(table, ['-S FORWARD 1']);
  if (first.kind === 'seen' && isFirstInForward(first.text)) return 'right';
  const found = look(table, [`-C FORWARD ${JUMPS.FORWARD}`]);
  if (found.kind === 'absent') return 'missing';
  return first.kind === 'unreadable' ? listed(table, { chain: 'FORWARD', isFound: found.kind === 'seen' }) : 'wrong';
}

function outputPlace(table: Table): JumpPlace {
  const found = look(table, [`-C OUTPUT ${JUMPS.OUTPUT}`]);
  if (found.kind === 'unreadable') return listed(table, { chain: 'OUTPUT', isFound: false });
  return found.kind === 'seen' ? 'right' : 'missing';
}

/** Tells whether what `-S FORWARD 1` printed is our jump. */
export function isFirstInForward(text: string): boolean {
  return parseChains(text).get('FORWARD')?.[0] === JUMPS.FORWARD;
}

type Look = { readonly kind: 'seen'; readonly text: string } | { readonly kind: 'absent' | 'unreadable' };

function look(table: Table, lines: RestoreLines): Look {
  try {
    return { kind: 'seen', text: restore(table, lines) };
  } catch (error) {
    if (error instanceof CommandError) return { kind: isUnreadable(error) ? 'unreadable' : 'absent' };
    throw error;
  }
}

/** Asks nft, which can read what iptables-nft cannot. Without it, as far as one can tell, our jump is in place. */
function listed(table: Table, hidden: { readonly chain: JumpChain; readonly isFound: boolean }): JumpPlace {
  const file = findTool('nft', table.env);
  if (file === undefined) return 'right';
  const { status, stdout } = spawnSync(file, listingArguments(table.family, hidden.chain), {
    input: '',
    env: table.env,
    timeoutMs: LISTING_LIMIT_MS,
  });
  return status === 0 ? listedPlace(stdout, hidden) : 'right';
}
