import type { Pod } from '../kube/pod.ts';
import type { Answer, AskedPort, Matrix } from './matrix.ts';

/** `audit`: allowed by audit mode alone. `mixed`: a node and its own pods reach each other always, those of other nodes do not. */
export type GroupAnswer = Answer | 'audit' | 'mixed';

/** Pods of one group, told by one of a pair. */
type Members = readonly [Pod, ...Pod[]];

interface GroupCell {
  readonly from: { readonly pods: Members };
  readonly to: { readonly pods: Members };
  readonly port: AskedPort;
}

/** Returns whether pods of one group reach those of another; a pod and itself count only where there is no other. */
export function groupAnswer(matrix: Matrix, { from, to, port }: GroupCell): GroupAnswer {
  const answers = new Set(
    pairsOf(from.pods, to.pods).map((pair): Answer | 'audit' => {
      const { audit, verdict } = matrix.answers(...pair, port);
      return audit === true ? 'audit' : verdict;
    }),
  );
  const [only = 'allowed'] = answers;
  if (answers.size === 2 && !answers.has('blocked')) return 'audit';
  return answers.size > 1 ? 'mixed' : only;
}

type Pair = readonly [Pod, Pod];

/** Returns pairs that stand for all of two groups: any pair, or with a node one on the same node and one not. A pod with itself is the last resort. */
function pairsOf(from: Members, to: Members): readonly Pair[] {
  const [first] = from;
  const other = to.find((pod) => pod !== first);
  if (other === undefined) return [[first, first]];
  if (!first.hostNetwork && !other.hostNetwork) return [[first, other]];
  return [true, false].flatMap((wanted) => {
    const pair = firstPair(from, to, (a, b) => a !== b && (a.nodeName === b.nodeName) === wanted);
    return pair === undefined ? [] : [pair];
  });
}

function firstPair(from: Members, to: Members, fits: (a: Pod, b: Pod) => boolean): Pair | undefined {
  for (const a of from) {
    const b = to.find((pod) => fits(a, pod));
    if (b !== undefined) return [a, b];
  }
  return undefined;
}
