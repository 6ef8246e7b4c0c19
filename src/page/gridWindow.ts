/** Where the lines of one axis of a table lie, in pixels: each of one size, with a gap before each new section. */
export interface Lines {
  readonly starts: readonly number[];
  readonly size: number;
  readonly total: number;
  /** Which lines begin a section, each with the end of that section. */
  readonly sections: readonly {
    readonly name: string;
    readonly first: number;
    readonly start: number;
    readonly end: number;
  }[];
}

/** Returns the places of lines that belong to these sections, equal names next to each other. */
export function linesOf(
  names: readonly string[],
  { size, gap }: { readonly size: number; readonly gap: number },
): Lines {
  const starts: number[] = [];
  const begun: { name: string; first: number; start: number }[] = [];
  let next = 0;
  names.forEach((name, index) => {
    if (name !== begun.at(-1)?.name) {
      next += gap;
      begun.push({ name, first: index, start: next });
    }
    starts.push(next);
    next += size;
  });
  const sections = begun.map((each, index) => {
    const following = begun[index + 1];
    return { ...each, end: following === undefined ? next : following.start - gap };
  });
  return { starts, size, total: next, sections };
}

/** Returns the indexes of the lines of which anything lies between two places, and beside them `kept`, which must not go. */
export function linesWithin(
  { starts, size }: Lines,
  { from, to, kept }: { readonly from: number; readonly to: number; readonly kept: number },
): readonly number[] {
  const first = lowerBound(starts, from - size);
  const end = lowerBound(starts, to);
  const within = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  if (kept < 0 || kept >= starts.length || (kept >= first && kept < end)) return within;
  return kept < first ? [kept, ...within] : [...within, kept];
}

/** Returns the index of the first start that is beyond `place`. */
function lowerBound(starts: readonly number[], place: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) > place) high = middle;
    else low = middle + 1;
  }
  return low;
}
