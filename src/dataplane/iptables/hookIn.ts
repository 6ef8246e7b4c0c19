import type { IpFamily } from '../../net/family.ts';
import { CommandError } from '../commandError.ts';
import { isOutdated } from './errors.ts';
import { readWithBuckets, restore, type Table } from './sync.ts';
import { isFirstInForward, readJumps } from './jumpsSync.ts';
import type { JumpChain, JumpPlace } from './nftListing.ts';
import { pause } from '../pause.ts';
import { endChains, spoiltEndChains } from '../../rules/iptables/endChains.ts';
import { JUMPS, rejectChain, STANDING_CHAINS } from '../../rules/iptables/entryChains.ts';
import type { Mark } from '../../rules/mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, REJECT_CHAIN } from '../../rules/names.ts';
import { TO_SOURCES } from '../../rules/iptables/hooks.ts';
import { podChains } from '../../rules/iptables/podChains.ts';
import type { PodHooks, PodJudgements } from '../../rules/pod.ts';
import {
  addPod,
  deleteRemains,
  ensureStanding,
  podChainNames,
  rewriteLines,
  type RestoreLines,
} from '../../rules/iptables/podRestore.ts';

/**
 * How much of the standing chains and jumps a transaction takes for granted:
 * - `trust`: everything; a live agent sees to it.
 * - `confirm`: everything, but it fails where something is missing.
 * - `found`: nothing is there; it fails where something is.
 * - `mend`: it looks first, and brings up what is missing.
 */
export type Way = 'trust' | 'confirm' | 'found' | 'mend';

export interface TableHooking {
  readonly tables: readonly Table[];
  readonly hooks: PodHooks;
  /** What to try, one after the other, each time the kernel turns out to be otherwise. */
  readonly ways: readonly Way[];
  /** Returns the judgements for an attempt, counted from 0. */
  readonly judge: (attempt: number) => PodJudgements;
  /** Returns a mark that no flow carries yet. */
  readonly claimMark: () => Mark;
  /** The families in which the kernel holds these hooks; those that are hooked in here are added. */
  readonly hooked: Set<IpFamily>;
}

const TRY_AGAIN_MS = 3;

/**
 * Hooks a pod in, one transaction a family, and returns the judgements that its chains hold now. All families get the same ones: when the
 * judgements change meanwhile, all are hooked in anew. Throws a CommandError; then `hooked` tells where something may be left.
 */
export function hookInTables(hooking: TableHooking): PodJudgements {
  let failure: CommandError | undefined;
  let before: PodJudgements | undefined;
  let left: readonly Table[] = [];
  for (const [attempt, way] of hooking.ways.entries()) {
    const judgements = hooking.judge(attempt);
    if (JSON.stringify(judgements) !== JSON.stringify(before)) left = hooking.tables;
    before = judgements;
    const round = hookRound(left, { hooking, way, judgements });
    if (round.failure === undefined) return judgements;
    ({ failure, left } = round);
    pause(TRY_AGAIN_MS);
  }
  throw failure ?? new RangeError('There is no way to hook a pod in');
}

interface Attempt {
  readonly hooking: TableHooking;
  readonly way: Way;
  readonly judgements: PodJudgements;
}

/** Returns the tables that are left when the kernel turned out to be otherwise, and how it said so. */
function hookRound(
  tables: readonly Table[],
  attempt: Attempt,
): { readonly left: readonly Table[]; readonly failure: CommandError | undefined } {
  for (const [index, table] of tables.entries()) {
    try {
      hookFamily(table, attempt);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // A program that was killed may have done its work before.
      if (error.exitCode === undefined) attempt.hooking.hooked.add(table.family);
      if (!isOutdated(error)) throw error;
      return { left: tables.slice(index), failure: error };
    }
  }
  return { left: [], failure: undefined };
}

function hookFamily(table: Table, { hooking, way, judgements }: Attempt): void {
  const { hooks, hooked, claimMark } = hooking;
  const { family } = table;
  const pod = { family, judgements, mark: claimMark(), replaced: hooked.has(family) ? hooks : undefined };
  if (way === 'mend') {
    restore(table, mendLines(table, { hooks, judgements, mark: pod.mark }));
  } else {
    const printed = restore(table, [...grantedLines(way, pod), ...addPod(hooks, pod)]);
    // Others may have put theirs before ours while no agent was there.
    if (way === 'confirm' && !isFirstInForward(printed))
      restore(table, mendLines(table, { hooks, judgements, mark: pod.mark }));
  }
  hooked.add(family);
}

function grantedLines(
  way: 'trust' | 'confirm' | 'found',
  { family, mark }: { readonly family: IpFamily; readonly mark: Mark },
): RestoreLines {
  switch (way) {
    case 'trust':
      return [];
    case 'confirm':
      return [
        '-S FORWARD 1',
        ...Object.entries(JUMPS).map(([chain, rule]) => `-C ${chain} ${rule}`),
        `-C ${EGRESS_CHAIN} ${TO_SOURCES}`,
        ...[rejectChain(family), ...endChains(family, { isRecording: false })].flatMap(({ name, rules }) =>
          rules.map((rule) => `-C ${name} ${rule}`),
        ),
      ];
    case 'found':
      return ensureStanding({ family, mark, chains: new Set(), jumps: new Set() });
  }
}

interface Mending {
  readonly hooks: PodHooks;
  readonly judgements: PodJudgements;
  readonly mark: Mark;
}

function mendLines(table: Table, { hooks, judgements, mark }: Mending): RestoreLines {
  const { family } = table;
  const own = podChainNames(hooks);
  const found = readWithBuckets(table, [...STANDING_CHAINS, ...own]);
  const jumps = found.has(ENTRY_CHAIN) ? readJumps(table) : ({ FORWARD: 'missing', OUTPUT: 'missing' } as const);
  const kept = new Set(podChains(hooks, { family, judgements }).map(({ name }) => name));
  const leftover = own.filter((name) => found.has(name) && !kept.has(name));
  return [
    ...jumpsIn('wrong', jumps).map((chain) => `-D ${chain} ${JUMPS[chain]}`),
    ...ensureStanding({ family, mark, chains: new Set(found.keys()), jumps: new Set(jumpsIn('right', jumps)) }),
    // Who flushes a whole table leaves chains behind that refuse nothing.
    ...(found.has(REJECT_CHAIN) ? rewriteLines(rejectChain(family)) : []),
    ...(found.get(EGRESS_CHAIN)?.includes(TO_SOURCES) === false ? [`-A ${EGRESS_CHAIN} ${TO_SOURCES}`] : []),
    ...spoiltEndChains(found, family).flatMap(rewriteLines),
    ...deleteRemains(hooks, { hookRules: found, chains: new Set(leftover) }),
    ...addPod(hooks, { family, judgements, mark, replaced: undefined }),
  ];
}

function jumpsIn(place: JumpPlace, jumps: Readonly<Record<JumpChain, JumpPlace>>): readonly JumpChain[] {
  return (['FORWARD', 'OUTPUT'] as const).filter((chain) => jumps[chain] === place);
}
