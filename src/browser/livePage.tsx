import { useEffect, useState } from 'preact/hooks';
import { liveFromJson, type LiveView } from '../page/pageData.ts';
import { Page } from './page.tsx';

/** How often the agent is asked whether anything changed, in milliseconds; nobody who does not look asks. */
const PERIOD_MS = 2000;

/** What an agent knows, as it changes. */
export function LivePage() {
  const [view, setView] = useState<LiveView | undefined>(undefined);
  const [failure, setFailure] = useState<string | undefined>(undefined);
  useEffect(() => {
    const follow = new Follow(setView, setFailure);
    return () => follow.end();
  }, []);
  if (view === undefined) return <p class="nothing">{failure ?? 'Asking the agent …'}</p>;
  return <Page snapshot={view.snapshot} notice={noticeOf(view, failure)} />;
}

function noticeOf({ node, isPartial, away }: LiveView, failure: string | undefined): string {
  const scope = isPartial ? ': of pods elsewhere only those that policies here need' : '';
  const troubles = [
    ...(away === null ? [] : [`The agent hears nothing new: ${away}`]),
    ...(failure === undefined ? [] : [`${failure}; this is what it knew last`]),
  ];
  return [`Live, as the agent of node ${node} knows it${scope}`, ...troubles].join('. ');
}

/** Asks the agent again and again while the page is seen. */
class Follow {
  readonly #onView: (view: LiveView) => void;
  readonly #onFailure: (failure: string | undefined) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tag = '';
  #ended = false;

  constructor(onView: (view: LiveView) => void, onFailure: (failure: string | undefined) => void) {
    this.#onView = onView;
    this.#onFailure = onFailure;
    void this.#ask();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    try {
      if (!document.hidden) await this.#fetch();
    } catch {
      this.#onFailure('The agent does not answer');
    }
    if (!this.#ended) this.#timer = setTimeout(() => void this.#ask(), PERIOD_MS);
  }

  async #fetch(): Promise<void> {
    const response = await fetch('cluster', { headers: this.#tag === '' ? {} : { 'if-none-match': this.#tag } });
    if (response.status !== 304) {
      if (response.status === 503) return this.#onFailure('The agent has not heard everything from its source yet');
      if (!response.ok) throw new Error(`Cannot use the answer: it is ${response.status}`);
      const view = liveFromJson(await response.json());
      if (view === undefined) throw new Error('Cannot use the answer: it is of another version');
      this.#tag = response.headers.get('etag') ?? '';
      this.#onView(view);
    }
    this.#onFailure(undefined);
  }
}
