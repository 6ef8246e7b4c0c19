import { canonicalRange } from '../../net/addressRange.ts';
import { parsePrinted } from './printed.ts';
import type { NftSet, NftTable } from './table.ts';

/** Reads a table as `parsePrinted` does, with ranges as we write them: older versions of nft print a range where newer ones print a network. */
export function parseTable(text: string): NftTable {
  const { sets, ...table } = parsePrinted(text);
  return { ...table, sets: new Map([...sets].map(([name, set]) => [name, withCanonicalRanges(set)])) };
}

function withCanonicalRanges(set: NftSet): NftSet {
  if (!set.type.endsWith('flags interval')) return set;
  return { ...set, elements: new Map([...set.elements].map(([key, rest]) => [rangeKey(key), rest])) };
}

function rangeKey(text: string): string {
  try {
    return canonicalRange(text);
  } catch {
    return text;
  }
}
