/** Things that are kept for a while when nobody needs them any more: who comes back in between need not begin anew. */
export class Lingering<T> {
  readonly #milliseconds: number;
  readonly #onEnd: (one: T) => void;
  /** In the order of time. */
  readonly #timers = new Map<T, NodeJS.Timeout>();

  constructor(milliseconds: number, onEnd: (one: T) => void) {
    this.#milliseconds = milliseconds;
    this.#onEnd = onEnd;
  }

  /** Keeps it from now on, if it is not kept already. */
  keep(one: T): void {
    if (this.#timers.has(one)) return;
    this.#timers.set(
      one,
      setTimeout(() => this.#end(one), this.#milliseconds),
    );
  }

  /** Somebody needs it again. */
  release(one: T): void {
    clearTimeout(this.#timers.get(one));
    this.#timers.delete(one);
  }

  /** Ends the oldest, until there are no more than so many. */
  endAllBut(most: number): void {
    for (const one of [...this.#timers.keys()].slice(0, Math.max(0, this.#timers.size - most))) this.#end(one);
  }

  /** Forgets all of them. */
  clear(): void {
    for (const one of this.#timers.keys()) this.release(one);
  }

  #end(one: T): void {
    this.release(one);
    this.#onEnd(one);
  }
}
