import { useCallback, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { portText } from '../kube/portText.ts';
import type { Column } from '../page/axes.ts';
import type { Comparison, PageCell, PageGroup, When } from '../page/comparison.ts';
import { placeAfter, type Place } from '../page/gridKeys.ts';
import { linesOf, linesWithin, type Lines } from '../page/gridWindow.ts';
import { Cell } from './cell.tsx';
import { ColumnHeads } from './columnHeads.tsx';
import { HEAD_HEIGHT, LABEL_WIDTH, LINE } from './gridSizes.ts';
import type { Opened } from '../page/words.ts';
import { useViewport } from './useViewport.ts';

interface GridProps {
  readonly comparison: Comparison;
  readonly rows: readonly PageGroup[];
  readonly columns: readonly Column[];
  readonly when: When;
  readonly opened: Opened | undefined;
  /** What is told of a cell that one points at. */
  readonly hint: (cell: PageCell) => string;
  readonly onOpen: (cell: PageCell) => void;
  readonly onClose: () => void;
}

/** The table, or that there is nothing to show. */
export function Grid(props: GridProps) {
  const { rows, columns } = props;
  if (rows.length === 0 || columns.length === 0)
    return <p class="nothing">Nothing fits this choice: no pods, or no ports</p>;
  return <Table {...props} />;
}

/** Only what is in sight is made. Keys and roles are those of the grid pattern (ARIA Authoring Practices). */
function Table({ comparison, rows, columns, when, opened, hint, onOpen, onClose }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [wanted, setActive] = useState<Place>({ row: 0, column: 0 });
  const [pointed, setPointed] = useState<Place | undefined>(undefined);
  const active = { row: Math.min(wanted.row, rows.length - 1), column: Math.min(wanted.column, columns.length - 1) };
  const rowLines = useMemo(
    () =>
      linesOf(
        rows.map(({ namespace }) => namespace),
        { size: LINE, gap: LINE },
      ),
    [rows],
  );
  const columnLines = useMemo(
    () =>
      linesOf(
        columns.map(({ group }) => group.namespace),
        { size: LINE, gap: LINE / 2 },
      ),
    [columns],
  );
  const view = useViewport(scroller);
  const shownRows = linesWithin(rowLines, {
    from: view.top,
    to: view.top + view.height - HEAD_HEIGHT,
    kept: active.row,
  });
  const shownColumns = linesWithin(columnLines, {
    from: view.left,
    to: view.left + view.width - LABEL_WIDTH,
    kept: active.column,
  });
  const cellAt = useCallback(
    ({ row, column }: Place): PageCell | undefined => {
      const [from, to] = [rows[row], columns[column]];
      return from && to && { from, to: to.group, port: to.port };
    },
    [rows, columns],
  );
  const focus = useFocus(scroller, { rowLines, columnLines });
  const onKeyDown = (event: KeyboardEvent) => {
    if (placeOf(event.target) === undefined) return;
    if (event.key === 'Escape') onClose();
    if (event.key === 'Enter' || event.key === ' ') openAt(active);
    const page = Math.max(1, Math.floor((view.height - HEAD_HEIGHT) / LINE) - 1);
    const next = placeAfter(event, active, { rows: rows.length, columns: columns.length, page });
    if (next !== undefined) {
      setActive(next);
      focus(next);
    }
    if (next !== undefined || event.key === ' ') event.preventDefault();
  };
  const openAt = (place: Place) => {
    const cell = cellAt(place);
    if (cell !== undefined) onOpen(cell);
  };
  const cells = useMemo(
    () =>
      shownRows.map((row) => (
        <Row key={rows[row]?.pods[0]} group={rows[row]} row={row} top={HEAD_HEIGHT + (rowLines.starts[row] ?? 0)}>
          {shownColumns.map((column) => {
            const cell = cellAt({ row, column });
            return (
              cell && (
                <Cell
                  key={`${cell.to.pods[0]} ${portText(cell.port)}`}
                  cell={cell}
                  state={comparison.state(cell, when)}
                  change={comparison.change(cell)}
                  place={{ row, column }}
                  left={LABEL_WIDTH + (columnLines.starts[column] ?? 0)}
                  isActive={row === active.row && column === active.column}
                  isOpened={isOpened(cell, opened)}
                />
              )
            );
          })}
        </Row>
      )),
    [comparison, rows, columns, when, opened, shownRows.join(), shownColumns.join(), active.row, active.column],
  );
  const pointedCell = pointed && cellAt(pointed);
  return (
    <div class="grid-frame">
      <div
        class="grid"
        role="grid"
        aria-label="Who reaches whom: rows connect to columns"
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length + 1}
        ref={scroller}
        onKeyDown={onKeyDown}
        onFocusIn={({ target }) => setActive((known) => placeOf(target) ?? known)}
        onClick={({ target }) => {
          const place = placeOf(target);
          if (place === undefined) return;
          setActive(place);
          openAt(place);
        }}
        onMouseOver={({ target }) => setPointed(placeOf(target))}
        onMouseLeave={() => setPointed(undefined)}
      >
        <div
          class="grid-inside"
          role="presentation"
          style={{
            width: `${LABEL_WIDTH + columnLines.total + LINE}px`,
            height: `${HEAD_HEIGHT + rowLines.total + LINE}px`,
          }}
        >
          <ColumnHeads columns={columns} shown={shownColumns} lines={columnLines} pointed={pointed?.column} />
          <Crosshair place={pointed} rowLines={rowLines} columnLines={columnLines} />
          {rowLines.sections.map(({ name, start, end }) => (
            <div
              key={name}
              class="row-section"
              role="presentation"
              style={{ top: `${HEAD_HEIGHT + start - LINE}px`, height: `${end - start + LINE}px` }}
            >
              <span>{name}</span>
            </div>
          ))}
          {cells}
        </div>
      </div>
      <p class="hint">{pointedCell === undefined ? 'Point at a cell, or open one, to see why' : hint(pointedCell)}</p>
    </div>
  );
}

interface RowProps {
  readonly group: PageGroup | undefined;
  readonly row: number;
  readonly top: number;
  readonly children: preact.ComponentChildren;
}

function Row({ group, row, top, children }: RowProps) {
  return (
    <div class="row" role="row" aria-rowindex={row + 2} style={{ top: `${top}px` }}>
      <div class="row-head" role="rowheader" aria-colindex={1} title={group?.pods.join('\n')}>
        <span class="unseen">{group?.namespace}/</span>
        {group?.label}
      </div>
      {children}
    </div>
  );
}

interface CrosshairProps {
  readonly place: Place | undefined;
  readonly rowLines: Lines;
  readonly columnLines: Lines;
}

function Crosshair({ place, rowLines, columnLines }: CrosshairProps) {
  if (place === undefined) return null;
  return (
    <>
      <div
        class="cross row-cross"
        role="presentation"
        style={{ top: `${HEAD_HEIGHT + (rowLines.starts[place.row] ?? 0)}px` }}
      />
      <div
        class="cross column-cross"
        role="presentation"
        style={{ left: `${LABEL_WIDTH + (columnLines.starts[place.column] ?? 0)}px` }}
      />
    </>
  );
}

/** Returns what puts the focus on a cell once it is made, and brings it in sight from below the heads. */
function useFocus(
  scroller: { readonly current: HTMLDivElement | null },
  { rowLines, columnLines }: { readonly rowLines: Lines; readonly columnLines: Lines },
): (place: Place) => void {
  const due = useRef<Place | undefined>(undefined);
  useLayoutEffect(() => {
    const [element, place] = [scroller.current, due.current];
    if (element === null || place === undefined) return;
    due.current = undefined;
    const [top, left] = [rowLines.starts[place.row] ?? 0, columnLines.starts[place.column] ?? 0];
    const room = { height: element.clientHeight - HEAD_HEIGHT, width: element.clientWidth - LABEL_WIDTH };
    element.scrollTop = within(element.scrollTop, { from: top - LINE, to: top + LINE, room: room.height });
    element.scrollLeft = within(element.scrollLeft, { from: left, to: left + LINE, room: room.width });
    element.querySelector<HTMLElement>(`[data-place="${place.row},${place.column}"]`)?.focus({ preventScroll: true });
  });
  return (place) => {
    due.current = place;
  };
}

function within(
  scroll: number,
  { from, to, room }: { readonly from: number; readonly to: number; readonly room: number },
): number {
  if (from < scroll) return Math.max(0, from);
  return to > scroll + room ? to - room : scroll;
}

function placeOf(target: EventTarget | null): Place | undefined {
  const text = target instanceof Element ? target.closest<HTMLElement>('[data-place]')?.dataset['place'] : undefined;
  const [row, column] = (text ?? '').split(',').map(Number);
  return row === undefined || column === undefined ? undefined : { row, column };
}

function isOpened({ from, to, port }: PageCell, opened: Opened | undefined): boolean {
  return (
    opened !== undefined &&
    port.port === opened.port.port &&
    port.protocol === opened.port.protocol &&
    from.pods.includes(opened.from) &&
    to.pods.includes(opened.to)
  );
}
