/**
 * Runs one pass at a time, as soon as it is asked for. Requests that come during a pass share the next one, so that a burst costs two passes.
 */
export class PassRunner {
  readonly #pass: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(pass: () => Promise<void>) {
    this.#pass = pass;
  }

  /** Resolves when a pass has ended that began after this call; rejects when that pass did. */
  run(): Promise<void> {
    if (this.#running === undefined) return (this.#running = this.#start());
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
      await this.#pass();
    } finally {
      if (this.#next === undefined) this.#running = undefined;
    }
  }
}
