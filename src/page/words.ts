import type { Cluster } from '../kube/cluster.ts';
import { isFinished, type ContainerPort } from '../kube/pod.ts';
import type { When } from './comparison.ts';
import type { Places, Snapshot } from './pageData.ts';
import { explain } from '../policy/explain.ts';
import { explanationWords, type ExplanationWords, type SideWords } from '../policy/explainText.ts';

/** A connection that somebody wants explained: two pods by their keys, and a port. */
export interface Opened {
  readonly from: string;
  readonly to: string;
  readonly port: ContainerPort;
}

/** Returns why a connection is allowed or not, in the words of the `explain` command; `undefined` if a pod is not there, or has ended. */
export function wordsOf(
  { from: fromKey, to: toKey, port }: Opened,
  { cluster, places }: { readonly cluster: Cluster; readonly places: Places },
): ExplanationWords | undefined {
  const [from, to] = [cluster.pods.get(fromKey), cluster.pods.get(toKey)];
  if (from === undefined || to === undefined || isFinished(from) || isFinished(to)) return undefined;
  const end = ({ namespace, name }: typeof from) => ({ kind: 'pod', namespace, name }) as const;
  const { port: number, protocol } = port;
  return explanationWords(explain(cluster, { from: end(from), to: end(to), port: number, protocol }), places);
}

/** Returns the same in one line, with the first reason for which each side allows or refuses it. */
export function hintOf(
  { before, places, after }: Snapshot,
  { opened, when }: { readonly opened: Opened; readonly when: When },
): string {
  const seen = when === 'after' && after !== undefined ? after : { cluster: before, places };
  const words = wordsOf(opened, seen);
  if (words === undefined) return 'One of the pods is not there';
  const { verdict, from, to, port, sides } = words;
  return [`${verdict} ${from} → ${to} ${port}`, ...sides.map(sideText)].join(' · ');
}

function sideText({ direction, says, reasons }: SideWords): string {
  const first = reasons.find(({ mark }) => mark !== ' ');
  return first === undefined ? `${direction}: ${says}` : `${direction}: ${says} — ${first.text}`;
}
