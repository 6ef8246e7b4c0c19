import { isDeepStrictEqual } from 'node:util';

/** Tells whether two objects say the same. Most of an object is shared with others that say the same, and needs no look into it. */
export function isSameObject<T extends object>(one: T, other: T): boolean {
  if (one === other) return true;
  const keys = Object.keys(one) as (keyof T)[];
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every(
    (key) => Object.hasOwn(other, key) && (one[key] === other[key] || isDeepStrictEqual(one[key], other[key])),
  );
}
