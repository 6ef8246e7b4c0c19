/**
 * Runs one pass at a time, as soon as it is asked for. Requests that come during a pass share the next one, so that a burst costs two passes.
 */
export class PassRunner {
  readonly #pass: () => Promise<void>;
  readonly #restMs: number;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isResting = false;
  #restedAt = -Infinity;

  /** `restMs`: how long after the end of a pass the next one may begin, in milliseconds. */
  constructor(pass: () => Promise<void>, { restMs = 0 }: { readonly restMs?: number } = {}) {
    this.#pass = pass;
    this.#restMs = restMs;
  }

  /** Resolves when a pass has ended that began after this call; rejects when that pass did. */
  run(): Promise<void> {
    if (this.#running === undefined) return (this.#running = this.#start());
    if (this.#isResting) return this.#running;
    // Whatever became of the present pass, the next one must run.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#running = this.#start());
      });
    return this.#next;
  }

  /** Resolves when no pass is running. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await (this.#next ?? this.#running);
  }

  async #start(): Promise<void> {
    try {
      const rest = this.#restedAt - performance.now();
      if (rest > 0) await this.#rest(rest);
      await this.#pass();
    } finally {
      this.#restedAt = performance.now() + this.#restMs;
      if (this.#next === undefined) this.#running = undefined;
    }
  }

  async #rest(milliseconds: number): Promise<void> {
    this.#isResting = true;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    this.#isResting = false;
  }
}
