import { portText } from '../kube/portText.ts';
import type { CellState, PageCell } from '../page/comparison.ts';
import type { Place } from '../page/gridKeys.ts';
import type { Change } from '../policy/matrixChanges.ts';

interface CellProps {
  readonly cell: PageCell;
  readonly state: CellState;
  readonly change: Change | undefined;
  readonly place: Place;
  readonly left: number;
  readonly isActive: boolean;
  readonly isOpened: boolean;
}

/** One cell: its sign is drawn by page.css, its words are for those who do not see it. */
export function Cell({ cell, state, change, place: { row, column }, left, isActive, isOpened }: CellProps) {
  return (
    <div
      class={`cell ${state} ${change ?? ''}`}
      role="gridcell"
      aria-colindex={column + 2}
      aria-label={cellWords(cell, { state, change })}
      aria-selected={isOpened}
      tabIndex={isActive ? 0 : -1}
      data-place={`${row},${column}`}
      style={{ left: `${left}px` }}
    />
  );
}

const STATES: Readonly<Record<CellState, string>> = {
  allowed: 'allowed',
  audit: 'allowed by audit mode alone, would be blocked',
  blocked: 'blocked',
  mixed: 'allowed on the same node only',
  absent: 'not there',
};

const CHANGES: Readonly<Record<Change, string>> = {
  opens: 'the change opens it',
  closes: 'the change closes it',
  new: 'new with the change',
  gone: 'gone with the change',
};

function cellWords(
  { from, to, port }: PageCell,
  { state, change }: { readonly state: CellState; readonly change: Change | undefined },
): string {
  const ends = `${from.namespace}/${from.label} to ${to.namespace}/${to.label} ${portText(port)}`;
  return `${ends}: ${STATES[state]}${change === undefined ? '' : `, ${CHANGES[change]}`}`;
}
