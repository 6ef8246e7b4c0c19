import { printable } from '../net/quote.ts';
import type { Explanation } from '../policy/explain.ts';
import { explanationWords, INDENT, nameOf, sideLines } from '../policy/explainText.ts';
import type { AgentExplanation } from '../rendezvous/agentSocket.ts';
import type { Explained } from './explained.ts';
import { adviceLines, differenceText, kernelLines, type AgentPresence } from './kernelText.ts';
import { differing, type KernelView } from './kernelView.ts';

/** Who has explained, and what the kernel does. */
export interface Telling extends Pick<Explained, 'places' | 'agent'> {
  readonly kernel?: KernelView | undefined;
  /** Asked where it matters. */
  readonly presence: () => AgentPresence;
}

/** Returns an explanation as people read it, with who has given it and what the kernel does. */
export function explainedText(explanation: Explanation, { places, agent, kernel, presence }: Telling): string {
  const { verdict, from, to, port, notes, sides } = explanationWords(explanation, places);
  const names = { from: nameOf(explanation.from), to: nameOf(explanation.to) };
  const different = differing(kernel);
  const head =
    different === undefined
      ? [`${verdict}  ${from} → ${to}  ${port}`]
      : [
          `DIFFERS  ${from} → ${to}  ${port}: ${differenceText(different, names)}`,
          ...adviceLines(different, { names, presence: presence() }).map((line) => INDENT + line),
        ];
  const lines = [
    ...head,
    ...(agent === undefined ? [] : agentLines(agent)),
    ...notes.map((note) => INDENT + note),
    '',
    ...sides.flatMap(sideLines),
    ...(kernel === undefined ? [] : kernelLines(kernel, { names, indent: INDENT })),
  ];
  return `${lines.join('\n')}\n`;
}

function agentLines({ nodeName, isPartial, explanation: { from, to } }: AgentExplanation): readonly string[] {
  const unknown = isPartial ? [from, to].filter(({ kind }) => kind === 'outside') : [];
  return [
    `${INDENT}as the agent of node ${printable(nodeName)} knows`,
    ...unknown.map(
      (end) => `${INDENT}${nameOf(end)} may be a pod that no policy of this node's pods names: --source kube knows all`,
    ),
  ];
}
