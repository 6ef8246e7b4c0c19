import type { Direction } from '../kube/networkPolicy.ts';
import type { Allow } from '../policy/model.ts';
import type { RecordKind } from './flowRecords.ts';
import { profileName } from './names.ts';

/** What judges the packets of one direction for every pod with the same allows. */
export interface Profile {
  readonly name: string;
  readonly direction: Direction;
  /** In an order of their own: that of policies is nobody's choice. */
  readonly allows: readonly Allow[];
  /** What becomes of what matches none of them: it is noted down, and then refused or let pass. */
  readonly others: RecordKind;
}

/** Returns the profile of these allows. Equal allows, whatever their order, give equal names: that is how pods share profiles. */
export function profile(
  allows: readonly Allow[],
  direction: Direction,
  { others = 'denied' }: { readonly others?: RecordKind } = {},
): Profile {
  const lines = allows.map((allow) => ({ allow, line: JSON.stringify([allow.peers, allow.ports, allow.policies]) }));
  const sorted = lines.toSorted((a, b) => (a.line < b.line ? -1 : 1));
  const content = sorted.map(({ line }) => line);
  const name = profileName(direction, others === 'audited' ? [...content, others] : content);
  return { name, direction, allows: sorted.map(({ allow }) => allow), others };
}
