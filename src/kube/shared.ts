/**
 * Values that many objects have alike, each kept once: most of a large cluster's pods are replicas. What nobody has asked for in a while is forgotten,
 * and may then be kept twice.
 */
export class Shared<T> {
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  readonly #most: number;

  /** `most`: how many are known at once. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Returns the value that is known by `key`, or else `value`, which from now on is; equal keys must mean equal values. */
  get(key: string, value: T): T {
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const kept = this.#old.get(key) ?? value;
    if (this.#young.size * 2 >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, kept);
    return kept;
  }
}

const texts = new Shared<string>(4096);

/** Returns an equal text that is kept once, for what many objects say. */
export function sharedText(text: string): string {
  return texts.get(text, text);
}
