import { IP_FAMILIES, type IpFamily } from '../net/family.ts';
import type { Direction } from '../kube/networkPolicy.ts';

/** What the kernel notes down of flows that no rule allows: it has refused them, or, of what is in audit mode, would have. */
export type RecordKind = 'denied' | 'audited';

/** Which flows belong together: one pair of sets holds them. */
export interface RecordPlace {
  readonly kind: RecordKind;
  readonly direction: Direction;
  readonly family: IpFamily;
}

export const RECORD_KINDS: readonly RecordKind[] = ['denied', 'audited'];
export const DIRECTIONS: readonly Direction[] = ['egress', 'ingress'];

export const RECORD_PLACES: readonly RecordPlace[] = RECORD_KINDS.flatMap((kind) =>
  DIRECTIONS.flatMap((direction) => IP_FAMILIES.map((family) => ({ kind, direction, family }))),
);

/** How long a flow is remembered, in seconds: a refusal is of interest at once, what audit mode has seen is when somebody comes to tighten it. */
export const RECORD_SECONDS: Readonly<Record<RecordKind, number>> = { denied: 600, audited: 86_400 };

/**
 * How many flows are remembered in one place: a pod can make any number of them, and a thorough look at nftables passes by all that there are (8,000 take it
 * 0.2 s of processor time).
 */
export const MOST_RECORDS: Readonly<Record<RecordKind, number>> = { denied: 512, audited: 4096 };
