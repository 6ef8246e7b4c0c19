import { setImmediate } from 'node:timers/promises';

/** What is served of a state that changes, and what it is called: equal tags mean equal bodies. */
export interface LiveBody {
  readonly tag: string;
  readonly body: Buffer;
}

/** A body that nobody has asked for in this time is let go of, in milliseconds: of a large cluster it is large. */
const KEPT_MS = 30_000;
/** A body is not made again sooner, in milliseconds: whoever looks may wait, and the node's rules may not. */
const FRESH_MS = 1000;

/** A state as a body that is made when somebody asks for it, and only then: once for all who ask, and in portions with other work in between. */
export class LiveSnapshot {
  readonly #portions: () => Iterable<string>;
  /** Versions are counted anew by each process. */
  readonly #instance = Date.now().toString(36);
  #version = 0;
  #made: (LiveBody & { readonly version: number; readonly at: number }) | undefined;
  #making: Promise<LiveBody> | undefined;
  #letGo: NodeJS.Timeout | undefined;

  constructor(portions: () => Iterable<string>) {
    this.#portions = portions;
  }

  /** Tells that the state is another one. Costs nothing. */
  changed(): void {
    this.#version += 1;
  }

  /** Returns the tag of the state as it is: whoever has a body of that tag needs no other. */
  tag(): string {
    return `"${this.#instance}-${this.#version}"`;
  }

  /** Returns the body of the state as it is, or was less than a second ago. Rejects with what went wrong while it was made. */
  async body(): Promise<LiveBody> {
    clearTimeout(this.#letGo);
    this.#letGo = setTimeout(() => (this.#made = undefined), KEPT_MS).unref();
    const made = this.#made;
    if (made !== undefined && (made.version === this.#version || performance.now() - made.at < FRESH_MS)) return made;
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    return this.#making;
  }

  async #make(): Promise<LiveBody> {
    const [version, tag, at] = [this.#version, this.tag(), performance.now()];
    const chunks: Buffer[] = [];
    for (const portion of this.#portions()) {
      chunks.push(Buffer.from(portion));
      await setImmediate();
    }
    this.#made = { tag, body: Buffer.concat(chunks), version, at };
    return this.#made;
  }
}
