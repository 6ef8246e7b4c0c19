import type { Direction } from '../kube/networkPolicy.ts';
import type { Allow } from '../policy/model.ts';
import { profileName } from './names.ts';

/** What judges the packets of one direction for every pod with the same allows. What matches none of them is refused. */
export interface Profile {
  readonly name: string;
  readonly direction: Direction;
  /** Each match once, in an order of its own: that of policies is nobody's choice. */
  readonly allows: readonly Allow[];
}

/** Returns the profile of these allows. Equal allows, whatever their order, give equal names: that is how pods share profiles. */
export function profile(allows: readonly Allow[], direction: Direction): Profile {
  const byMatch = new Map<string, Allow>();
  for (const allow of allows) {
    const match = JSON.stringify([allow.peers, allow.ports]);
    const known = byMatch.get(match);
    // Several policies that allow the same are told by the first name.
    if (known === undefined || allow.policy < known.policy) byMatch.set(match, allow);
  }
  const sorted = [...byMatch].sort(([a], [b]) => (a < b ? -1 : 1));
  const content = sorted.map(([match, { policy }]) => `${match} ${policy}`);
  return { name: profileName(direction, content), direction, allows: sorted.map(([, allow]) => allow) };
}
