import type { Change } from '../policy/matrixChanges.ts';
import type { Comparison, PageCell } from './comparison.ts';

export interface ChangedPageCell extends PageCell {
  readonly change: Change;
}

/** Finds what a change does, a row at a time: each time it returns what was found until now. A thousand rows take seconds. */
export function* changedCells(comparison: Comparison): Generator<readonly ChangedPageCell[]> {
  const found: ChangedPageCell[] = [];
  yield found;
  if (!comparison.hasChange) return;
  const columns = comparison.groups.flatMap((to) => to.ports.map((port) => ({ to, port })));
  for (const from of comparison.groups) {
    for (const column of columns) {
      const change = comparison.change({ from, ...column });
      if (change !== undefined) found.push({ from, ...column, change });
    }
    yield found;
  }
}
