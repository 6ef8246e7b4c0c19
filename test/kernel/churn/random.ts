/** Numbers that are the same for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Returns a whole number from 0 on, below `limit`. */
  below(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    const once = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((once ^ (once >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** Tells `true` as often as once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  /** Returns one of them. Throws where there is none. */
  oneOf<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('Cannot choose: there is nothing to choose from');
    return item;
  }
}
