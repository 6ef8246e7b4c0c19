import { printable } from '../net/quote.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import type { Need, SeenNode } from './nodeNeeds.ts';
import { problemText } from './sync.ts';

/** Returns the node as a screen of lines: first whether it is protected, then what it needs, then how it stands. */
export function statusText(seen: SeenNode, needs: readonly Need[]): string {
  const told = needs.map(({ what, mend }) => `  ${what}\n    → ${mend}\n`).join('');
  const rows = rowsOf(seen).map(([label, text]) => `${label.padEnd(10)} ${text}\n`);
  return `${headline(needs)}\n${told}\n${rows.join('')}`;
}

/** Returns the answer to the only question that most have. */
export function headline(needs: readonly Need[]): string {
  if (needs.length === 0) return 'This node is protected.';
  return needs.some(({ isOpen }) => isOpen)
    ? 'This node is NOT protected as it should be:'
    : 'This node is protected by what was known last, and needs a person:';
}

type Row = readonly [label: string, text: string];

function rowsOf({ status, hookProblems }: SeenNode): readonly Row[] {
  const { backend, kernel, lastSync, failure, source } = status;
  return [
    ['node', `${printable(status.nodeName)} (agent ${status.version}, pid ${status.pid}, since ${status.since})`],
    ...sourceRows(status),
    ['backend', `${backend.name} (${backend.reason}), ${backend.families.join(' and ')}`],
    ['hooks', hooksText(status, hookProblems)],
    ['bridge', bridgeText(status)],
    ...logRows(status),
    ['policies', `${status.policies}`],
    ...auditRows(status),
    ...podRows(status),
    [
      'kernel',
      `generation ${status.generation}, ${kernel.sets} sets, ${kernel.chains} chains, ${status.repairs} repairs`,
    ],
    ['last sync', lastSync === undefined ? 'never' : `${lastSync.at}, took ${lastSync.milliseconds} ms`],
    ...(failure === undefined ? [] : [['failure', printable(failure)] as const]),
    ...source.problems.map((problem) => ['problem', printable(problemText(problem))] as const),
  ];
}

function logRows({ nflog }: AgentStatus): readonly Row[] {
  if (nflog === undefined) return [];
  const { group, problem } = nflog;
  return [
    ['log', `NFLOG group ${group}${problem === undefined ? '' : `, which the kernel refuses: ${printable(problem)}`}`],
  ];
}

/** So many are told by name. */
const MOST_AUDITED = 5;

function auditRows({ audit }: AgentStatus): readonly Row[] {
  const more = audit.length - MOST_AUDITED;
  const named = audit.slice(0, MOST_AUDITED).map((what) => `${printable(what)} is in audit mode: it refuses nothing`);
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].map((line) => ['', line]);
}

function sourceRows({ source: { from, inSync, inSyncSince, away } }: AgentStatus): readonly Row[] {
  const state = inSync ? `in sync since ${inSyncSince ?? 'just now'}` : 'not in sync';
  return [
    ['source', `${printable(from)}, ${state}`],
    ...(away === undefined ? [] : [['', `away since ${away.since}: ${printable(away.reason)}`] as const]),
  ];
}

function hooksText({ backend }: AgentStatus, problems: readonly string[] | undefined): string {
  if (problems === undefined) return 'not looked at';
  if (problems.length > 0) return problems.join('; ');
  return backend.name === 'nftables' ? 'in place, before the filter tables of others' : 'in place, first in FORWARD';
}

function bridgeText({ bridgeNetfilter, pods: { bridged } }: AgentStatus): string {
  const need = bridged === 0 ? 'no pod needs it' : bridged === 1 ? '1 pod needs it' : `${bridged} pods need it`;
  if (bridgeNetfilter === undefined) return `br_netfilter is not loaded, ${need}`;
  const values = Object.entries(bridgeNetfilter).map(([name, value]) => `${name.replace('net.bridge.', '')}=${value}`);
  return `br_netfilter is loaded, ${values.join(', ')}; ${need}`;
}

function podRows({ pods }: AgentStatus): readonly Row[] {
  const { attached, isolated, quarantined, adopted } = pods;
  const free = attached - isolated - quarantined.length;
  return [
    [
      'pods',
      `${attached}: ${isolated} isolated by policies, ${free} that no policy selects, ${quarantined.length} quarantined`,
    ],
    ...(adopted === 0 ? [] : [['', `${adopted} of them were there before the plugin was`] as const]),
    ...quarantined.map((pod) => ['', quarantineText(pod, pods)] as const),
  ];
}

function quarantineText(pod: string, { quarantinedSince }: AgentStatus['pods']): string {
  const since = quarantinedSince[pod];
  return `${printable(pod)} is refused everything${since === undefined ? '' : ` since ${since}`}: the source does not show it`;
}
