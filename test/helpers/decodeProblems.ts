import { decodeObjects } from '../../src/kube/decode.ts';
import { DecodeError, problemText } from '../../src/kube/decodeError.ts';

/** Returns the problems for which an object is refused, one line each; none when it is not. */
export function problemsOf(value: unknown): readonly string[] {
  try {
    decodeObjects(value);
    return [];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return error.problems.map(problemText);
  }
}
