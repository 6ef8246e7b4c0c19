import type { Backend } from '../dataplane/backend.ts';
import { CommandError } from '../dataplane/commandError.ts';
import { followInKernel } from '../dataplane/followInKernel.ts';
import { nodePaths } from '../dataplane/nodePaths.ts';
import { ToolMissingError } from '../dataplane/toolMissing.ts';
import type { Environment } from '../dataplane/tools.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import type { Explanation } from '../policy/explain.ts';
import type { HookedEnds } from '../rendezvous/agentSocket.ts';
import { firstPacket, type FirstPacket } from '../trace/firstPacket.ts';
import { quarantinedSide } from '../trace/quarantine.ts';
import type { Step, Way } from '../trace/walk.ts';

type Forwarded = Extract<FirstPacket, { kind: 'forwarded' }>;
type NotForwarded = Extract<FirstPacket, { kind: 'notForwarded' }>;

/** What this node's kernel does to the first packet of a connection. Plain data, fit for JSON. */
export type KernelView =
  | FollowedView
  /** The last of the rules cannot be followed past. */
  | (SeenRules & { readonly kind: 'unknown'; readonly reason: string })
  | { readonly kind: 'notJudged'; readonly because: NotForwarded['because'] }
  | { readonly kind: 'unread'; readonly reason: string };

/** The kernel's verdict. */
export interface FollowedView extends SeenRules {
  readonly kind: 'followed';
  readonly verdict: 'passed' | 'refused' | 'dropped';
  /** Whether the policies of the ends that are judged here say otherwise. */
  readonly differs: boolean;
  /** Which of the pods is refused everything, because nobody knows it. */
  readonly quarantined: Direction | undefined;
}

interface SeenRules {
  readonly backend: Backend;
  /** The ends that are pods of this node. */
  readonly judges: Forwarded['judges'];
  /** Those that matched, in order. */
  readonly rules: readonly Step[];
  readonly notes: readonly string[];
}

/** How rules get into this node's kernel, and for which ends of a connection. */
export interface NodeEnds {
  readonly backend: Backend;
  readonly hooks: HookedEnds;
}

/** Follows the first packet of a connection through the kernel of this node. */
export function kernelView(
  explanation: Explanation,
  { backend, hooks, env }: NodeEnds & { readonly env: Environment },
): KernelView {
  const { from, to, protocol, port } = explanation;
  const ends = {
    from: { address: from.address, hooks: hooks.from },
    to: { address: to.address, hooks: hooks.to },
  };
  try {
    const first = firstPacket({ ...ends, protocol, port }, nodePaths(env));
    if (first.kind === 'notForwarded') return { kind: 'notJudged', because: first.because };
    const { way, notes } = followInKernel(first.packet, { backend, env });
    return viewOf(way, { explanation, seen: { backend, judges: first.judges, rules: way.steps, notes } });
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ToolMissingError)) throw error;
    return { kind: 'unread', reason: error.message };
  }
}

const VERDICTS = { accept: 'passed', end: 'passed', reject: 'refused', drop: 'dropped' } as const;

/** Returns what a way means beside what the policies say. */
export function viewOf(
  { end, steps, reason = '' }: Way,
  { explanation, seen }: { readonly explanation: Explanation; readonly seen: SeenRules },
): KernelView {
  if (end === 'unknown') return { kind: 'unknown', ...seen, reason };
  const verdict = VERDICTS[end];
  const differs = (verdict === 'passed') !== isAllowed(explanation, seen.judges);
  return { kind: 'followed', verdict, differs, quarantined: quarantinedSide(steps), ...seen };
}

function isAllowed({ egress, ingress }: Explanation, judges: SeenRules['judges']): boolean {
  return (judges === 'ingress' || egress.kind !== 'refused') && (judges === 'egress' || ingress.kind !== 'refused');
}

/** Returns the view if kernel and policies differ, or `undefined`. */
export function differing(view: KernelView | undefined): FollowedView | undefined {
  return view?.kind === 'followed' && view.differs ? view : undefined;
}
