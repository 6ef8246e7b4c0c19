/** Tells whether two lists hold the same items, told by identity, in the same order. */
export function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some === others || (some.length === others.length && some.every((one, index) => one === others[index]));
}
