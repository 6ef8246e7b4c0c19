import { printable } from '../net/quote.ts';

/** Longer names are cut: a row is worth more than a name. */
const LONGEST_NAME = 32;

/** Returns what pods of a group are called together: one name, what all names begin with, or the first and how many more. */
export function groupLabel(pods: readonly { readonly name: string }[]): string {
  const names = pods.map(({ name }) => name);
  const [first = '', ...others] = names;
  if (others.length === 0) return cut(first);
  const stem = names.reduce(commonStart).replace(/[^-.]*$/, '');
  return stem === '' ? `${cut(first)} +${others.length}` : `${cut(stem)}* (${names.length})`;
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return a.slice(0, length);
}

function cut(name: string): string {
  return printable(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);
}
