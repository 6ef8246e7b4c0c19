import type { ChangedPageCell } from '../page/changedCells.ts';
import type { When } from '../page/comparison.ts';
import type { Work } from './useWork.ts';

interface ChangeSummaryProps {
  readonly changes: Work<readonly ChangedPageCell[]>;
  readonly source: string;
  readonly when: When;
  readonly onWhen: (when: When) => void;
  readonly isNarrow: boolean;
  readonly onNarrow: (isNarrow: boolean) => void;
}

/** What a change does in all, and the choice between before and after. */
export function ChangeSummary({ changes, source, when, onWhen, isNarrow, onNarrow }: ChangeSummaryProps) {
  return (
    <section class="changes" aria-label="The change">
      <div class="segments" role="group" aria-label="Before or after the change">
        {(['before', 'after'] as const).map((each) => (
          <button type="button" key={each} aria-pressed={when === each} onClick={() => onWhen(each)}>
            {each === 'before' ? 'Before' : 'After'}
          </button>
        ))}
      </div>
      <p role="status">
        <span class="source">{source}</span>{' '}
        {changes.isDone ? summaryOf(changes.found ?? []) : 'Looking at every cell …'}
      </p>
      <label>
        <input type="checkbox" checked={isNarrow} onChange={({ currentTarget }) => onNarrow(currentTarget.checked)} />{' '}
        only what changes
      </label>
    </section>
  );
}

const WORDS = [
  { change: 'opens', mark: '+', one: 'cell opens', many: 'cells open' },
  { change: 'closes', mark: '−', one: 'cell closes', many: 'cells close' },
  { change: 'new', mark: '∗', one: 'cell is new', many: 'cells are new' },
  { change: 'gone', mark: '×', one: 'cell is gone', many: 'cells are gone' },
] as const;

function summaryOf(changes: readonly ChangedPageCell[]) {
  const counts = WORDS.map((words) => ({
    ...words,
    count: changes.filter(({ change }) => change === words.change).length,
  }));
  const some = counts.filter(({ count }) => count > 0);
  if (some.length === 0) return 'Nothing opens or closes';
  return some.map(({ change, mark, one, many, count }) => (
    <span key={change} class={`count ${change}`}>
      <i aria-hidden="true">{mark}</i> {count} {count === 1 ? one : many}
    </span>
  ));
}
