import { isSameObject } from '../sameObject.ts';

/** Objects by key, the resourceVersion in which each came to say what it says, and which keys have changed. */
export class KnownObjects<T extends object> {
  readonly #objects = new Map<string, T>();
  // Not in a WeakMap: of 150,000 objects that costs as much memory again, and time at each collection.
  readonly #versions = new Map<string, string>();
  #changed = new Set<string>();
  readonly #alike: KnownObjects<T> | undefined;

  /** What says the same as in `alike` is taken from there: a list of what is known needs little memory. */
  constructor(alike?: KnownObjects<T>) {
    this.#alike = alike;
  }

  /** Changes in place. */
  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** Returns the resourceVersion in which the object of this key came to say what it says; '' where there is none. */
  changedIn(key: string): string {
    return this.#versions.get(key) ?? '';
  }

  /** Returns the keys whose object came, changed or went since the last call. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Puts an object in place and tells whether that changes anything: one that says the same as before is left as it is. */
  put(key: string, { object, version }: { readonly object: T; readonly version: string }): boolean {
    const before = this.#objects.get(key);
    if (before !== undefined && isSameObject(before, object)) return false;
    const alike = this.#alike?.objects.get(key);
    this.#objects.set(key, alike !== undefined && isSameObject(alike, object) ? alike : object);
    this.#versions.set(key, version);
    this.#changed.add(key);
    return true;
  }

  /** Removes an object and tells whether it was there. */
  delete(key: string): boolean {
    if (!this.#objects.delete(key)) return false;
    this.#versions.delete(key);
    this.#changed.add(key);
    return true;
  }

  /** Holds what `others` hold from now on; what says the same as before is left as it is. */
  replace(others: KnownObjects<T>): void {
    for (const key of this.#objects.keys()) if (!others.objects.has(key)) this.delete(key);
    for (const [key, object] of others.objects) this.put(key, { object, version: others.changedIn(key) });
  }
}
