import { namespacesOf } from '../page/axes.ts';
import type { PageGroup } from '../page/comparison.ts';
import type { Snapshot } from '../page/pageData.ts';
import { ThemeSwitch } from './themeSwitch.tsx';

export type View = 'matrix' | 'graph';

interface HeadingProps {
  readonly snapshot: Snapshot;
  readonly groups: readonly PageGroup[];
  readonly notice: string | undefined;
  readonly view: View;
  readonly onView: (view: View) => void;
}

const VIEWS: readonly { readonly view: View; readonly title: string }[] = [
  { view: 'matrix', title: 'Matrix' },
  { view: 'graph', title: 'Graph' },
];

/** What is seen here, of what, and the choice of how. */
export function Heading({ snapshot, groups, notice, view, onView }: HeadingProps) {
  const pods = groups.reduce((total, group) => total + group.pods.length, 0);
  const counts = [
    counted(pods, 'pod'),
    counted(namespacesOf(groups).length, 'namespace'),
    counted((snapshot.after?.cluster ?? snapshot.before).policies.size, 'policy'),
  ];
  return (
    <header class="heading">
      <div class="titles">
        <h1>Who reaches whom</h1>
        <p class="about">
          {counts.join(' · ')} <span class="source">{snapshot.source}</span>
        </p>
        {notice !== undefined && <p class="notice">{notice}</p>}
      </div>
      <div class="choices">
        <div class="segments" role="group" aria-label="View">
          {VIEWS.map(({ view: each, title }) => (
            <button type="button" key={each} aria-pressed={view === each} onClick={() => onView(each)}>
              {title}
            </button>
          ))}
        </div>
        <ThemeSwitch />
      </div>
    </header>
  );
}

function counted(count: number, what: string): string {
  const plural = what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`;
  return `${count} ${count === 1 ? what : plural}`;
}
