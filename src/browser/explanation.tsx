import { useEffect, useRef } from 'preact/hooks';
import { portText } from '../kube/portText.ts';
import type { Comparison, PageGroup } from '../page/comparison.ts';
import type { Snapshot } from '../page/pageData.ts';
import type { ExplanationWords, SideWords } from '../policy/explainText.ts';
import { wordsOf, type Opened } from '../page/words.ts';

interface ExplanationProps {
  readonly snapshot: Snapshot;
  readonly comparison: Comparison;
  readonly opened: Opened;
  readonly onOpen: (opened: Opened) => void;
  readonly onClose: () => void;
}

/** Why a connection is allowed or not, in the words of the `explain` command; before and after a change, if there is one. */
export function Explanation({ snapshot, comparison, opened, onOpen, onClose }: ExplanationProps) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.scrollTo(0, 0), [opened]);
  const { before, places, after } = snapshot;
  const was = wordsOf(opened, { cluster: before, places });
  const is = after && wordsOf(opened, after);
  const isSame = after === undefined || JSON.stringify(was) === JSON.stringify(is);
  return (
    <aside
      class="explanation"
      aria-label="Explanation"
      ref={panel}
      onKeyDown={({ key }) => {
        if (key === 'Escape') onClose();
      }}
    >
      <div class="explanation-head">
        <h2>{portText(opened.port)}</h2>
        <button type="button" class="close" aria-label="Close the explanation" onClick={onClose}>
          ×
        </button>
      </div>
      <Ends comparison={comparison} opened={opened} onOpen={onOpen} />
      <div class="answers">
        {isSame ? (
          <Answer title={after && 'Before and after'} words={was} />
        ) : (
          <>
            <Answer title="Before" words={was} />
            <Answer title="After" words={is} />
          </>
        )}
      </div>
    </aside>
  );
}

/** Alike as they are, the pods of a group may each be asked about. */
function Ends({ comparison, opened, onOpen }: Pick<ExplanationProps, 'comparison' | 'opened' | 'onOpen'>) {
  return (
    <div class="ends">
      {(['from', 'to'] as const).map((end) => {
        const group = comparison.groups.find(({ pods }) => pods.includes(opened[end]));
        return (
          <label key={end} class="field">
            <span>{end === 'from' ? 'From' : 'To'}</span>
            <select
              value={opened[end]}
              onChange={({ currentTarget }) => onOpen({ ...opened, [end]: currentTarget.value })}
            >
              {podsOf(group, opened[end]).map((key) => (
                <option key={key} value={key}>
                  {key}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </div>
  );
}

function podsOf(group: PageGroup | undefined, key: string): readonly string[] {
  return group?.pods ?? [key];
}

interface AnswerProps {
  readonly title: string | undefined;
  readonly words: ExplanationWords | undefined;
}

function Answer({ title, words }: AnswerProps) {
  return (
    <section class="answer">
      {title !== undefined && <h3>{title}</h3>}
      {words === undefined ? <p class="flow">One of the pods is not there</p> : <Words words={words} />}
    </section>
  );
}

function Words({ words: { verdict, from, to, port, notes, sides } }: { readonly words: ExplanationWords }) {
  return (
    <>
      <p class="flow">
        <strong class={verdict.toLowerCase()}>{verdict}</strong> {from} <span class="arrow">→</span> {to} {port}
      </p>
      {notes.map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      {sides.map((side) => (
        <Side key={side.direction} side={side} />
      ))}
    </>
  );
}

function Side({ side: { direction, self, says, reasons } }: { readonly side: SideWords }) {
  const isRefused = reasons.some(({ mark }) => mark === '✗');
  return (
    <section class={`side ${isRefused ? 'refused' : 'open'}`}>
      <h4>
        <span class="direction">{direction}</span> {self}: {says}
      </h4>
      <ul>
        {reasons.map(({ mark, text, lacking }) => (
          <li key={text}>
            <span class="mark">{mark}</span> {text}
            {lacking.length > 0 && (
              <ul>
                {lacking.map((lack) => (
                  <li key={lack}>{lack}</li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
