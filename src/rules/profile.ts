import type { Direction } from '../kube/networkPolicy.ts';
import type { Allow } from '../policy/model.ts';
import { profileName } from './names.ts';

/** What judges the packets of one direction for every pod with the same allows. What matches none of them is refused. */
export interface Profile {
  readonly name: string;
  readonly direction: Direction;
  /** In an order of their own: that of policies is nobody's choice. */
  readonly allows: readonly Allow[];
}

/** Returns the profile of these allows. Equal allows, whatever their order, give equal names: that is how pods share profiles. */
export function profile(allows: readonly Allow[], direction: Direction): Profile {
  const lines = allows.map((allow) => ({ allow, line: JSON.stringify([allow.peers, allow.ports, allow.policies]) }));
  const sorted = lines.toSorted((a, b) => (a.line < b.line ? -1 : 1));
  const name = profileName(
    direction,
    sorted.map(({ line }) => line),
  );
  return { name, direction, allows: sorted.map(({ allow }) => allow) };
}
