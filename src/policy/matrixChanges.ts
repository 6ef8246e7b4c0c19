import { objectKey, type Pod } from '../kube/pod.ts';
import type { Cell, Matrix } from './matrix.ts';

/** What becomes of a cell: it opens or closes, or one of its pods or its port was not there before, or is not after. */
export type Change = 'opens' | 'closes' | 'new' | 'gone';

export interface ChangedCell {
  readonly change: Change;
  /** As it is after the change; of a `gone` one as it was. */
  readonly cell: Cell;
}

/** Returns the cells of two matrices of the same options that differ in their verdict, or are in one only. */
export function* matrixChanges(before: Matrix, after: Matrix): Generator<ChangedCell> {
  const [old, now] = [podsByKey(before), podsByKey(after)];
  for (const cell of after.cells()) {
    const previous = answersAt(before, old, cell);
    if (previous === undefined) yield { change: 'new', cell };
    else if (previous.verdict !== cell.verdict) yield { change: cell.verdict === 'allowed' ? 'opens' : 'closes', cell };
  }
  for (const cell of before.cells()) if (answersAt(after, now, cell) === undefined) yield { change: 'gone', cell };
}

function podsByKey({ pods }: Matrix): ReadonlyMap<string, Pod> {
  return new Map(pods.map((pod) => [objectKey(pod), pod]));
}

function answersAt(matrix: Matrix, pods: ReadonlyMap<string, Pod>, cell: Cell) {
  const [from, to] = [pods.get(cell.from), pods.get(cell.to)];
  if (from === undefined || to === undefined) return undefined;
  const isAsked = matrix.portsOf(to).some(({ port, protocol }) => port === cell.port && protocol === cell.protocol);
  return isAsked ? matrix.answers(from, to, cell) : undefined;
}
