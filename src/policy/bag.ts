import type { Membership, Members } from './model.ts';

let versions = 0;

/** Members that several pods may bring, each told of once. */
export class Bag<Member> implements Members<Member> {
  readonly #members = new Map<string, Member>();
  /** How often a member is there beyond the first time. */
  readonly #more = new Map<string, number>();
  /** What was told of is followed, not how the first members came. */
  readonly #added = new Map<string, Member>();
  readonly #removed = new Map<string, Member>();
  #membership: Membership<Member> | undefined;

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): MapIterator<Member> {
    return this.#members.values();
  }

  /** Puts a member in, once more if it is there. Equal members have equal keys. */
  add(key: string, member: Member): void {
    if (this.#members.has(key)) {
      this.#more.set(key, (this.#more.get(key) ?? 0) + 1);
      return;
    }
    this.#members.set(key, member);
    if (this.#membership !== undefined && !this.#removed.delete(key)) this.#added.set(key, member);
  }

  /** Takes a member out once. */
  remove(key: string): void {
    const more = this.#more.get(key) ?? 0;
    if (more > 1) this.#more.set(key, more - 1);
    else if (more === 1) this.#more.delete(key);
    else this.#leave(key);
  }

  #leave(key: string): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    this.#members.delete(key);
    if (this.#membership !== undefined && !this.#added.delete(key)) this.#removed.set(key, member);
  }

  /** Returns who is in, and how that came from what was returned before: the same object as long as nobody comes or goes. */
  membership(): Membership<Member> {
    const before = this.#membership;
    if (before !== undefined && this.#added.size + this.#removed.size === 0) return before;
    const since = before && {
      version: before.version,
      added: [...this.#added.values()],
      removed: [...this.#removed.values()],
    };
    this.#added.clear();
    this.#removed.clear();
    versions += 1;
    return (this.#membership = { members: this, version: versions, since });
  }
}
