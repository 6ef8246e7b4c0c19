import { JUMPS } from '../rules/entryChains.ts';
import { parseChains } from '../rules/kernelChains.ts';
import type { RestoreLines } from '../rules/podRestore.ts';
import { CommandError } from './commandError.ts';
import { restore, type Table } from './iptablesSync.ts';

export type JumpChain = keyof typeof JUMPS;

/** Where our jump stands in somebody else's chain; FORWARD's must come first, OUTPUT's may stand anywhere. */
export type JumpPlace = 'right' | 'wrong' | 'missing';

/** Returns where our jumps stand. The entry chain must exist. Nothing but our own line is looked for in others' chains. */
export function readJumps(table: Table): Readonly<Record<JumpChain, JumpPlace>> {
  return {
    FORWARD: forwardPlace(table),
    OUTPUT: printed(table, [`-C OUTPUT ${JUMPS.OUTPUT}`]) === undefined ? 'missing' : 'right',
  };
}

function forwardPlace(table: Table): JumpPlace {
  const text = printed(table, ['-S FORWARD 1']);
  if (text !== undefined && isFirstInForward(text)) return 'right';
  if (printed(table, [`-C FORWARD ${JUMPS.FORWARD}`]) === undefined) return 'missing';
  // A foreign rule that iptables-nft cannot print hides the order; as far as one can tell, ours is in place.
  return text === undefined ? 'right' : 'wrong';
}

/** Tells whether what `-S FORWARD 1` printed is our jump. */
export function isFirstInForward(text: string): boolean {
  return parseChains(text).get('FORWARD')?.[0] === JUMPS.FORWARD;
}

function printed(table: Table, lines: RestoreLines): string | undefined {
  try {
    return restore(table, lines);
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
