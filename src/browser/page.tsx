import { useCallback, useMemo, useState } from 'preact/hooks';
import { columnsOf, NO_FILTER, rowsOf, type Filter } from '../page/axes.ts';
import { changedCells } from '../page/changedCells.ts';
import { Comparison, type PageCell, type When } from '../page/comparison.ts';
import type { Snapshot } from '../page/pageData.ts';
import { ChangeSummary } from './changeSummary.tsx';
import { Explanation } from './explanation.tsx';
import { hintOf, type Opened } from '../page/words.ts';
import { Filters } from './filters.tsx';
import { Graph } from './graph.tsx';
import { Grid } from './grid.tsx';
import { Heading, type View } from './heading.tsx';
import { Legend } from './legend.tsx';
import { useWork } from './useWork.ts';

interface PageProps {
  readonly snapshot: Snapshot;
  /** Whose view it is, where that must be said. */
  readonly notice?: string;
}

/** The whole page: who reaches whom in a snapshot, as a table or a graph, and why. */
export function Page({ snapshot, notice }: PageProps) {
  const [view, setView] = useState<View>('matrix');
  const [when, setWhen] = useState<When>('after');
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const [onlyChanges, setOnlyChanges] = useState(false);
  const [opened, setOpened] = useState<Opened | undefined>(undefined);
  const { before, after, options } = snapshot;
  const comparison = useMemo(() => new Comparison({ before, after: after?.cluster }, options), [snapshot]);
  const changes = useWork(() => changedCells(comparison), [comparison]);
  const changed = changes.found ?? [];
  const { groups } = comparison;
  const isNarrow = onlyChanges && changes.isDone;
  const [rows, columns] = useMemo(() => {
    const [changedRows, changedColumns] = [new Set(changed.map(({ from }) => from)), new Set(changed.map(columnKey))];
    return [
      rowsOf(groups, filter).filter((row) => !isNarrow || changedRows.has(row)),
      columnsOf(groups, filter).filter(
        ({ group, port }) => !isNarrow || changedColumns.has(columnKey({ to: group, port })),
      ),
    ];
  }, [groups, filter, isNarrow]);
  const close = useCallback(() => setOpened(undefined), []);
  const open = useCallback(({ from, to, port }: PageCell) => setOpened(firstPair({ from, to, port })), []);
  const hint = (cell: PageCell) => hintOf(snapshot, { opened: firstPair(cell), when });
  return (
    <div class={`page ${opened === undefined ? '' : 'explaining'}`}>
      <Heading snapshot={snapshot} groups={groups} notice={notice} view={view} onView={setView} />
      <Filters groups={groups} filter={filter} onFilter={setFilter} />
      {comparison.hasChange && (
        <ChangeSummary
          changes={changes}
          source={after?.source ?? ''}
          when={when}
          onWhen={setWhen}
          isNarrow={onlyChanges}
          onNarrow={setOnlyChanges}
        />
      )}
      <main class="main">
        {view === 'matrix' ? (
          <Grid
            comparison={comparison}
            rows={rows}
            columns={columns}
            when={when}
            opened={opened}
            hint={hint}
            onOpen={open}
            onClose={close}
          />
        ) : (
          <Graph
            comparison={comparison}
            rows={rows}
            columns={columns}
            when={when}
            cluster={when === 'after' ? (after?.cluster ?? before) : before}
          />
        )}
        {opened !== undefined && (
          <Explanation snapshot={snapshot} comparison={comparison} opened={opened} onOpen={setOpened} onClose={close} />
        )}
      </main>
      {/* Here from the beginning: what comes together with its words is not read out. */}
      <p class="unseen" role="status">
        {opened === undefined ? '' : hintOf(snapshot, { opened, when })}
      </p>
      <Legend view={view} hasChange={comparison.hasChange} hasAudit={comparison.hasAudit} />
    </div>
  );
}

function columnKey({ to, port }: Pick<PageCell, 'to' | 'port'>): string {
  return `${to.index} ${port.port} ${port.protocol}`;
}

/** A pod and itself say nothing of their group where there are others. */
function firstPair({ from, to, port }: PageCell): Opened {
  const [first] = from.pods;
  return { from: first, to: to.pods.find((key) => key !== first) ?? first, port };
}
