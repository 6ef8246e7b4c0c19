/** What one table, or ipset, held of ours. */
export interface Removed {
  /** `iptables-nft ipv4`, `ipset`. */
  readonly from: string;
  /** What was removed, e.g. `2 jumps and 14 chains`; `undefined` when nothing was there. */
  readonly what: string | undefined;
  readonly problem: string | undefined;
}

/** Returns e.g. `1 set` or `2 sets`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
