import type { RecordPlace } from './flowRecords.ts';

/** How often each end chain logs a packet: whoever floods a pod is not to flood who reads of it. */
export const LOG_PACE = { perSecond: 10, burst: 20 } as const;

/** So much of a packet is logged: enough for its headers. */
export const LOG_BYTES = 128;

/** Returns what a packet is logged with, so that readers know what became of it. NFLOG takes 63 bytes of it. */
export function logPrefix({ kind, direction }: Pick<RecordPlace, 'kind' | 'direction'>): string {
  return `nwplcy ${kind} ${direction}`;
}
