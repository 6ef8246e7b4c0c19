import { printable } from '../net/quote.ts';
import type { FollowedView, KernelView } from './kernelView.ts';

/** Who keeps the rules current: the agent has answered, it is at work, or it is not. */
export type AgentPresence = 'answered' | 'atWork' | 'away';

/** The ends by the names that people know them by. */
export interface EndNames {
  readonly from: string;
  readonly to: string;
}

/** Returns what the kernel does, with the rules that the packet has met. `indent` is what stands before lines that belong to another. */
export function kernelLines(
  view: KernelView,
  { names, indent }: { readonly names: EndNames; readonly indent: string },
): readonly string[] {
  const head = 'kernel'.padEnd(indent.length);
  switch (view.kind) {
    case 'unread':
      return [`${head}cannot be read: ${printable(view.reason)}`];
    case 'notJudged':
      return [`${head}${NOT_JUDGED[view.because]}`];
    case 'unknown':
    case 'followed': {
      const { backend, judges, notes, rules } = view;
      const what = view.kind === 'followed' ? DOES[view.verdict] : 'nobody knows what it does';
      const told = rules.map(({ chain, rule }) => `${chain}: ${rule}`);
      const last =
        view.kind === 'unknown' ? [`cannot follow past: ${told.pop() ?? 'the beginning'} (${view.reason})`] : [];
      return [
        `${head}${what} (${backend}, ${judgesText(judges, names)})`,
        ...[...notes, ...told, ...last].map((line) => `${indent}  ${printable(line)}`),
      ];
    }
  }
}

const NOT_JUDGED = {
  elsewhere: 'nothing of this node judges it: neither end is a pod of this node',
  itself: 'does not see it: it does not leave the pod',
  ownNode: 'does not judge it: a pod and its own node always reach each other',
  noAddress: 'cannot be asked: the ends have no addresses of one family',
} as const;

const DOES = { passed: 'lets it pass', refused: 'refuses it', dropped: 'drops it' } as const;

function judgesText(judges: FollowedView['judges'], { from, to }: EndNames): string {
  if (judges === 'both') return 'both ends';
  const [own, other] = judges === 'egress' ? [from, to] : [to, from];
  return `${judges} of ${own} alone: ${other} is not of this node`;
}

/** Returns the end of a headline that says how kernel and policies differ. */
export function differenceText({ judges, verdict }: FollowedView, { from, to }: EndNames): string {
  const whose = { both: 'the policies', egress: `the policies of ${from}`, ingress: `the policies of ${to}` }[judges];
  return `${whose} ${verdict === 'passed' ? 'deny' : 'allow'} it, the kernel of this node ${DOES[verdict]}`;
}

/** Returns what to do about a difference. */
export function adviceLines(
  { quarantined }: FollowedView,
  { names, presence }: { readonly names: EndNames; readonly presence: AgentPresence },
): readonly string[] {
  const pod = quarantined && (quarantined === 'egress' ? names.from : names.to);
  return [
    ...(pod === undefined ? [] : [`${pod} is quarantined: refused everything until an agent knows it`]),
    ADVICE[presence],
  ];
}

const ADVICE: Readonly<Record<AgentPresence, string>> = {
  answered:
    'a change may be under way, or somebody has changed the rules, which the agent puts right: ask again in a moment; if it stays so, look at "kube-nwplcy status"',
  atWork:
    'the agent may not have heard of these objects yet: run "kube-nwplcy sync" and ask again; if it stays so, look at "kube-nwplcy status"',
  away: 'no agent is at work on this node, the rules are as they were left: start "kube-nwplcy agent"',
};
