import { quote } from '../net/quote.ts';
import { DecodeError, MOST_PROBLEMS } from './decodeError.ts';
import type { FieldKey, FieldProblem } from './decodeError.ts';

/**
 * Returns what `decode` makes of `value`. Decoders never stop at a problem: they note it, go on with a stand-in, and the
 * whole is thrown away here, so that one error names everything that is wrong.
 * @throws DecodeError
 */
export function decodeValue<T>(value: unknown, decode: (field: Field) => T): T {
  const problems: FieldProblem[] = [];
  const decoded = decode(new Field(value, '', problems));
  if (problems.length > 0) throw new DecodeError(problems);
  return decoded;
}

/**
 * A place in an untrusted value, with its path. Reads as the API machinery does: null is absent, and an absent field is the
 * zero value of its type (empty string, false, no elements). Only own properties count, so that `__proto__` is a name.
 */
export class Field {
  readonly value: unknown;
  readonly #key: FieldKey;
  /** The value it is in, or where the problems go for the whole of it. */
  readonly #owner: Field | FieldProblem[];
  #object: Readonly<Record<string, unknown>> | undefined;

  constructor(value: unknown, key: FieldKey, owner: Field | FieldProblem[]) {
    this.value = value;
    this.#key = key;
    this.#owner = owner;
  }

  get isAbsent(): boolean {
    return this.value === null || this.value === undefined;
  }

  child(key: string): Field {
    const object = this.#asObject();
    return new Field(Object.hasOwn(object, key) ? object[key] : undefined, key, this);
  }

  elements(): readonly Field[] {
    return this.#mapElements((element) => element);
  }

  /** Returns what `decode` makes of each element of the list under `key`. */
  list<T>(key: string, decode: (element: Field) => T): readonly T[] {
    return this.child(key).#mapElements(decode);
  }

  entries(): readonly (readonly [string, Field])[] {
    return Object.entries(this.#asObject()).map(([key, value]) => [key, new Field(value, key, this)]);
  }

  string(): string {
    if (this.isAbsent) return '';
    if (typeof this.value === 'string') return this.value;
    const isScalar = typeof this.value === 'number' || typeof this.value === 'boolean';
    const remedy = isScalar ? `must be a string, write "${this.value}"` : 'must be a string';
    return this.fail(`Cannot use ${show(this.value)}: ${remedy}`, '');
  }

  boolean(): boolean {
    if (this.isAbsent) return false;
    return typeof this.value === 'boolean'
      ? this.value
      : this.fail(`Cannot use ${show(this.value)}: must be true or false`, false);
  }

  /** Notes every field of the object that is not in `known`; `hint` may say where such a field belongs. */
  allowOnly(known: readonly string[], hint: (key: string) => string | undefined): void {
    for (const key of Object.keys(this.#asObject())) {
      if (known.includes(key)) continue;
      const remedy = hint(key) ?? `expected ${known.map(quote).join(', ')}`;
      new Field(undefined, key, this).fail(`Unknown field ${quote(key)}: ${remedy}`, undefined);
    }
  }

  /** Notes a problem with this field and returns the stand-in to go on with. */
  fail<T>(message: string, standIn: T): T {
    const problems = this.#problems();
    if (problems.length < MOST_PROBLEMS) {
      const keys = this.#keys();
      problems.push({ path: pathText(keys), keys, message });
    }
    return standIn;
  }

  #asObject(): Readonly<Record<string, unknown>> {
    this.#object ??= this.#readObject();
    return this.#object;
  }

  #readObject(): Readonly<Record<string, unknown>> {
    if (this.isAbsent) return {};
    return isObject(this.value) ? this.value : this.fail(`Cannot use ${show(this.value)}: must be an object`, {});
  }

  // Each element is done with before the next is looked at: a list of pods can have 100,000.
  #mapElements<T>(map: (element: Field) => T): readonly T[] {
    if (this.isAbsent) return [];
    const list: unknown = this.value;
    if (!Array.isArray(list)) return this.fail(`Cannot use ${show(list)}: must be a list`, []);
    return list.map((element: unknown, index) => map(new Field(element, index, this)));
  }

  #problems(): FieldProblem[] {
    return this.#owner instanceof Field ? this.#owner.#problems() : this.#owner;
  }

  #keys(): readonly FieldKey[] {
    return this.#owner instanceof Field ? [...this.#owner.#keys(), this.#key] : [];
  }
}

/** Returns a value as a message may show it: scalars as they are, anything else by its kind. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pathText(keys: readonly FieldKey[]): string {
  return keys.reduce<string>((path, key) => path + stepText(key, path === ''), '');
}

function stepText(key: FieldKey, isFirst: boolean): string {
  if (typeof key === 'number') return `[${key}]`;
  if (!/^[\w-]{1,63}$/.test(key)) return `[${quote(key)}]`;
  return isFirst ? key : `.${key}`;
}
