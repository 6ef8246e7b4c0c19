import type { View } from './heading.tsx';

interface Has {
  readonly hasChange: boolean;
  readonly hasAudit: boolean;
}

interface LegendProps extends Has {
  readonly view: View;
}

/** What the signs mean; none is told by its colour alone. */
export function Legend({ view, ...has }: LegendProps) {
  return (
    <footer class="legend">
      {view === 'matrix' ? <CellSigns {...has} /> : <LinkSigns hasChange={has.hasChange} />}
      <span class="keys">
        {view === 'matrix' ? (
          <>
            <kbd>↑</kbd> <kbd>↓</kbd> <kbd>←</kbd> <kbd>→</kbd> move, <kbd>Enter</kbd> explains, <kbd>Esc</kbd> closes
          </>
        ) : (
          <>
            <kbd>←</kbd> <kbd>→</kbd> move around, <kbd>Enter</kbd> keeps, <kbd>Esc</kbd> lets go
          </>
        )}
      </span>
    </footer>
  );
}

function CellSigns({ hasChange, hasAudit }: Has) {
  return (
    <>
      <Sign state="allowed" words="allowed" />
      <Sign state="blocked" words="blocked" />
      {hasAudit && <Sign state="audit" words="by audit mode alone" />}
      <Sign state="mixed" words="on the same node only" />
      {hasChange && (
        <>
          <Sign state="allowed" change="opens" words="opens" />
          <Sign state="blocked" change="closes" words="closes" />
        </>
      )}
      <span>rows connect to columns</span>
    </>
  );
}

function Sign({
  state,
  change = '',
  words,
}: {
  readonly state: string;
  readonly change?: string;
  readonly words: string;
}) {
  return (
    <span class="sign">
      <i class={`cell ${state} ${change}`} aria-hidden="true" /> {words}
    </span>
  );
}

function LinkSigns({ hasChange }: { readonly hasChange: boolean }) {
  return (
    <>
      <span class="sign">
        <i class="line ruled" aria-hidden="true" /> a policy has a say
      </span>
      <span class="sign">
        <i class="line free" aria-hidden="true" /> nothing restricts it
      </span>
      <span class="sign">
        <i class="line out" aria-hidden="true" /> it reaches
      </span>
      <span class="sign">
        <i class="line in" aria-hidden="true" /> reaches it
      </span>
      {hasChange && (
        <>
          <span class="sign">
            <i class="line opens" aria-hidden="true" /> opens
          </span>
          <span class="sign">
            <i class="line closes" aria-hidden="true" /> closes
          </span>
        </>
      )}
    </>
  );
}
