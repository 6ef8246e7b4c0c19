import type { Paint } from './paint.ts';

/** What became of the flows from one to another at one port. `wrong`: not what it should be. */
export type Mark = 'open' | 'closed' | 'wrong';

/** Who reaches whom. `rows` are sources and `columns` targets by name, `cells[row][column]` has one mark a port. */
export interface Reachability {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly cells: readonly (readonly (readonly Mark[])[])[];
}

/** Told apart without colour too. */
export const SYMBOLS: Readonly<Record<Mark, string>> = { open: '●', closed: '·', wrong: '!' };

const COLORS = { open: 'green', closed: 'gray', wrong: 'red' } as const;

/** Returns a matrix as lines of text, with two of header. Cells that are not as in `previous` stand in brackets. */
export function matrixText(
  { rows, columns, cells }: Reachability,
  { previous, paint }: { readonly previous: Reachability | undefined; readonly paint: Paint },
): readonly string[] {
  const labelWidth = Math.max(...rows.map((row) => row.length));
  const ports = cells[0]?.[0]?.length ?? 0;
  const width = Math.max(ports + 2, ...columns.map((column) => nameOf(column).length)) + 2;
  const names = columns.map((column) => ` ${nameOf(column)}`.padEnd(width)).join('');
  const body = cells.map((row, r) => {
    const texts = row.map((marks, c) => cellText(marks, { previous: previous?.cells[r]?.[c], paint }));
    const gap = ' '.repeat(width - ports - 2);
    return `${(rows[r] ?? '').padEnd(labelWidth)} ${texts.join(gap)}`;
  });
  const indent = ' '.repeat(labelWidth + 1);
  const lines = [`${indent}${namespacesText(columns, width)}`, `${indent}${names}`, ...body];
  return lines.map((line) => line.trimEnd());
}

/** Returns the namespaces, each once, above the first of its pods. */
function namespacesText(columns: readonly string[], width: number): string {
  const namespaces = columns.map(namespaceOf);
  return namespaces
    .map((namespace, index) => (namespaces[index - 1] === namespace ? '' : ` ${namespace}/`).padEnd(width))
    .join('');
}

function cellText(
  marks: readonly Mark[],
  { previous, paint }: { readonly previous: readonly Mark[] | undefined; readonly paint: Paint },
): string {
  const isNew = marks.map((mark, index) => previous !== undefined && previous[index] !== mark);
  const texts = marks.map((mark, index) => markText(mark, { isNew: isNew[index] === true, paint }));
  const color = marks.some((mark, index) => isNew[index] === true && mark !== 'open') ? 'red' : 'green';
  const [left, right] = isNew.includes(true)
    ? ['[', ']'].map((bracket) => paint(['bold', color], bracket))
    : [' ', ' '];
  return `${left}${texts.join('')}${right}`;
}

function markText(mark: Mark, { isNew, paint }: { readonly isNew: boolean; readonly paint: Paint }): string {
  if (mark === 'closed' && isNew) return paint(['bold', 'red'], SYMBOLS.closed);
  return paint(isNew ? ['bold', COLORS[mark]] : [COLORS[mark]], SYMBOLS[mark]);
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
