import { useEffect, useState } from 'preact/hooks';

export interface Work<T> {
  readonly found: T | undefined;
  readonly isDone: boolean;
}

/** How long the page may stand still, in milliseconds. */
const SLICE_MS = 12;
/** What is found is shown this often, in milliseconds. */
const SHOW_MS = 150;

const NOTHING = { found: undefined, isDone: false } as const;

/** Runs work that takes long in slices, so that the page stays quick, and returns what it has found until now. Other `inputs` begin it anew. */
export function useWork<T>(begin: () => Generator<T>, inputs: readonly unknown[]): Work<T> {
  const [state, setState] = useState<{ readonly of: readonly unknown[]; readonly work: Work<T> }>({
    of: [],
    work: NOTHING,
  });
  useEffect(() => inSlices(begin(), (work) => setState({ of: inputs, work })), inputs);
  // What was found for other inputs is nothing.
  const isCurrent = state.of.length === inputs.length && state.of.every((input, index) => input === inputs[index]);
  return isCurrent ? state.work : NOTHING;
}

function inSlices<T>(steps: Generator<T>, show: (work: Work<T>) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shownAt = performance.now();
  let found: T | undefined;
  const slice = () => {
    const end = performance.now() + SLICE_MS;
    let step = steps.next();
    while (step.done !== true) {
      found = step.value;
      if (performance.now() >= end) break;
      step = steps.next();
    }
    const isDone = step.done === true;
    if (isDone || performance.now() - shownAt > SHOW_MS) {
      shownAt = performance.now();
      show({ found, isDone });
    }
    if (!isDone) timer = setTimeout(slice);
  };
  slice();
  return () => clearTimeout(timer);
}
