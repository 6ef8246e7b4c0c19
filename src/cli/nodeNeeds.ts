import { printable } from '../net/quote.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import { problemText } from './sync.ts';

/** Something that no agent can do by itself. */
export interface Need {
  /** Whether packets may pass meanwhile that a policy refuses. */
  readonly isOpen: boolean;
  readonly what: string;
  readonly mend: string;
}

/** What was seen of a node: its agent's status, and what keeps packets from our rules; that is `undefined` where it could not be looked at. */
export interface SeenNode {
  readonly status: AgentStatus;
  readonly hookProblems: readonly string[] | undefined;
}

/** A pod may be quarantined for so long without anybody's fault: the source is late. Milliseconds. */
const QUARANTINE_PATIENCE_MS = 60_000;

/** Returns what a node needs a person for, the worst first; nothing where all is well. `now` is in milliseconds. */
export function needsOf({ status, hookProblems = [] }: SeenNode, now: number): readonly Need[] {
  return [
    ...hookProblems.map((what) => ({
      isOpen: true,
      what: `Packets do not reach the rules: ${what}`,
      mend: "see what else writes there; the agent puts it back within a second, and tells in its log if it can't",
    })),
    ...failureNeed(status),
    ...sourceNeeds(status),
    ...quarantineNeeds(status, now),
  ];
}

function failureNeed({ failure }: AgentStatus): readonly Need[] {
  if (failure === undefined) return [];
  return [
    {
      isOpen: true,
      what: `The kernel does not hold what it should: ${printable(failure)}`,
      mend: 'the agent tries again and again; run "kube-nwplcy doctor" on the node for what is in its way',
    },
  ];
}

function sourceNeeds({ source, lastSync }: AgentStatus): readonly Need[] {
  const { inSync, away, problems } = source;
  const isUnused = lastSync === undefined && inSync;
  return [
    ...(inSync
      ? []
      : [
          {
            isOpen: true,
            what: 'The agent has not listed everything yet since its start, and changes nothing before it has',
            mend: away === undefined ? "wait, or see the agent's log for what keeps it" : 'see the next line',
          },
        ]),
    ...(isUnused
      ? [{ isOpen: true, what: 'Nothing was written into the kernel yet', mend: "wait, or see the agent's log" }]
      : []),
    ...(away === undefined
      ? []
      : [
          {
            isOpen: false,
            what: `Nothing new is heard of the source since ${away.since}: ${printable(away.reason)}`,
            mend: 'make it reachable; until then what was listed last stays in force',
          },
        ]),
    ...problems.map((problem) => ({
      isOpen: false,
      what: `Cannot use ${printable(problemText(problem))}`,
      mend: 'mend it there; until then its last good content is in force',
    })),
  ];
}

function quarantineNeeds({ pods: { quarantinedSince } }: AgentStatus, now: number): readonly Need[] {
  return Object.entries(quarantinedSince)
    .filter(([, since]) => now - Date.parse(since) > QUARANTINE_PATIENCE_MS)
    .map(([pod, since]) => ({
      isOpen: false,
      what: `${printable(pod)} is refused everything since ${since}: the source does not show it, or shows another pod of that name`,
      mend: 'see whether the pod is still in the source, with this node and the uid that the runtime told',
    }));
}
