/** A place in a grid, from 0. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

export interface GridSize {
  readonly rows: number;
  readonly columns: number;
  /** How many rows one page has. */
  readonly page: number;
}

/** Returns where a key leads in a grid, by the pattern that screen readers know; `undefined` for a key that means nothing there. */
export function placeAfter(
  { key, ctrlKey }: { readonly key: string; readonly ctrlKey: boolean },
  { row, column }: Place,
  { rows, columns, page }: GridSize,
): Place | undefined {
  const moved = target(key, { row, column, page, isWhole: ctrlKey, last: { row: rows - 1, column: columns - 1 } });
  return moved && { row: clamp(moved.row, rows), column: clamp(moved.column, columns) };
}

function target(
  key: string,
  {
    row,
    column,
    page,
    isWhole,
    last,
  }: Place & { readonly page: number; readonly isWhole: boolean; readonly last: Place },
): Place | undefined {
  switch (key) {
    case 'ArrowUp':
      return { row: row - 1, column };
    case 'ArrowDown':
      return { row: row + 1, column };
    case 'ArrowLeft':
      return { row, column: column - 1 };
    case 'ArrowRight':
      return { row, column: column + 1 };
    case 'PageUp':
      return { row: row - page, column };
    case 'PageDown':
      return { row: row + page, column };
    case 'Home':
      return { row: isWhole ? 0 : row, column: 0 };
    case 'End':
      return { row: isWhole ? last.row : row, column: last.column };
    default:
      return undefined;
  }
}

function clamp(value: number, count: number): number {
  return Math.max(0, Math.min(value, count - 1));
}
