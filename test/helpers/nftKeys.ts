import type { Key } from './nftRule.ts';
import { bytesOf, rangeText, type TypeName } from './nftTypes.ts';

/** Returns the keys without repetition, in the order in which nft prints them. */
export function sortedKeys(types: readonly TypeName[], keys: readonly Key[]): readonly Key[] {
  const byText = new Map(keys.map((key) => [keyText(types, key), key]));
  const ordered = [...byText.values()].map((key) => ({ key, order: orderOf(types, key) }));
  return ordered.toSorted((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)).map(({ key }) => key);
}

/** Returns a key as nft prints it: equal for equal keys of the same set. */
export function keyText(types: readonly TypeName[], key: Key): string {
  return types.map((type, index) => textOf(type, key[index])).join(' . ');
}

function textOf(type: TypeName, range: Key[number] | undefined): string {
  if (range === undefined) throw new Error('Cannot print a key: it has too few fields');
  return rangeText(type, range);
}

// nft compares a concatenation as the one number that its bytes are on this machine, the last byte first.
function orderOf(types: readonly TypeName[], key: Key): bigint {
  if (types.length === 1) return key[0]?.from ?? 0n;
  const bytes = types.flatMap((type, index) => bytesOf(type, key[index]?.from ?? 0n));
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
