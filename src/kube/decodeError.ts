/** One step into a value: the name of a field, or the index of a list's element. */
export type FieldKey = string | number;

/** What is wrong with one field. */
export interface FieldProblem {
  /** E.g. `spec.ingress[0].from[1].ipBlock.except[0]`; empty for the object itself. */
  readonly path: string;
  readonly keys: readonly FieldKey[];
  /** What is wrong, without the path. */
  readonly message: string;
}

/** An object that the API server would not take, or a list holding one. Has every problem found, at most `MOST_PROBLEMS`. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly problems: readonly FieldProblem[];

  constructor(problems: readonly FieldProblem[]) {
    const [first, ...others] = problems.map(problemText);
    super(others.length === 0 ? first : `${first}, and ${others.length} more problems`);
    this.problems = problems;
  }
}

/** A hostile object may be wrong in a million places; people mend a few at a time. */
export const MOST_PROBLEMS = 100;

/** Returns the problem as one line: the path of the field, then what is wrong. */
export function problemText(problem: FieldProblem): string {
  return problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`;
}
