/** What a row of samples comes to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Returns the summary of samples, in their unit. Throws an Error when there are none: a table that hides that would lie. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new Error('Cannot summarize: there are no samples');
  return { median: medianOf(sorted), min, max, runs: sorted.length };
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1);
  return middle.reduce((sum, sample) => sum + sample, 0) / middle.length;
}

/**
 * Returns the exponent with which a cost grows between two sizes: 0 for one that stays the same, 1 for one that doubles with the size, 2 for one
 * that grows with its square.
 */
export function growth(
  small: { readonly size: number; readonly cost: number },
  large: { readonly size: number; readonly cost: number },
): number {
  return Math.log(large.cost / small.cost) / Math.log(large.size / small.size);
}
