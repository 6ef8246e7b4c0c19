const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/** How long to wait before the next try: up to twice as long each time, and at least half of that; not all nodes of a cluster try at once. */
export class Backoff {
  #failures = 0;

  /** Returns the next pause in milliseconds. `random` returns numbers from 0 to below 1. */
  next(random: () => number = Math.random): number {
    const limit = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    return limit * (0.5 + random() / 2);
  }

  /** Begins anew: something has worked. */
  reset(): void {
    this.#failures = 0;
  }
}
