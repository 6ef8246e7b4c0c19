import { useMemo } from 'preact/hooks';
import { namespacesOf, NO_FILTER, portChoices, type Filter } from '../page/axes.ts';
import type { PageGroup } from '../page/comparison.ts';

interface FiltersProps {
  readonly groups: readonly PageGroup[];
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
}

/** What of the table is shown: words in names and labels at either end, namespaces, a port. */
export function Filters({ groups, filter, onFilter }: FiltersProps) {
  const ports = useMemo(() => portChoices(groups), [groups]);
  const isAll = filter.from === '' && filter.to === '' && filter.port === '' && filter.namespaces.size === 0;
  return (
    <search class="filters">
      {(['from', 'to'] as const).map((end) => (
        <label key={end} class="field">
          <span>{end === 'from' ? 'From' : 'To'}</span>
          <input
            type="search"
            placeholder="name or label=value"
            value={filter[end]}
            onInput={({ currentTarget }) => onFilter({ ...filter, [end]: currentTarget.value })}
          />
        </label>
      ))}
      <Namespaces groups={groups} filter={filter} onFilter={onFilter} />
      <label class="field">
        <span>Port</span>
        <select
          value={filter.port}
          onChange={({ currentTarget }) => onFilter({ ...filter, port: currentTarget.value })}
        >
          <option value="">all</option>
          {ports.map((port) => (
            <option key={port} value={port}>
              {port}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="quiet" disabled={isAll} onClick={() => onFilter(NO_FILTER)}>
        Show all
      </button>
    </search>
  );
}

function Namespaces({ groups, filter, onFilter }: FiltersProps) {
  const names = useMemo(() => namespacesOf(groups), [groups]);
  const { namespaces } = filter;
  const toggle = (name: string) => {
    const chosen = new Set(namespaces);
    if (!chosen.delete(name)) chosen.add(name);
    onFilter({ ...filter, namespaces: chosen });
  };
  const [only] = namespaces;
  return (
    <details
      class="namespaces"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.currentTarget.open = false;
        event.currentTarget.querySelector('summary')?.focus();
      }}
    >
      <summary>
        Namespaces{' '}
        <b>{only === undefined ? 'all' : namespaces.size === 1 ? only : `${namespaces.size} of ${names.length}`}</b>
      </summary>
      <fieldset>
        <legend class="unseen">Namespaces</legend>
        {names.map((name) => (
          <label key={name}>
            <input type="checkbox" checked={namespaces.has(name)} onChange={() => toggle(name)} /> {name}
          </label>
        ))}
      </fieldset>
    </details>
  );
}
