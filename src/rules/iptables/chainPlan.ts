import type { IpFamily } from '../../net/family.ts';
import type { Rule } from './chain.ts';
import { endChains, type EndForm } from './endChains.ts';
import { entryChain, isEntryChain, JUMPS, rejectChain, STANDING_CHAINS } from './entryChains.ts';
import type { KernelChains } from './kernelChains.ts';
import type { Mark } from '../mark.ts';
import { ENTRY_CHAIN } from '../names.ts';
import { hookPlan, type WantedHooks } from './hookPlan.ts';
import { raiseLines, rewriteLines, type RestoreLines } from './podRestore.ts';
import { profileLines } from './profileLines.ts';
import { contentLines, Progress } from './progress.ts';
import { staleLines } from './staleChains.ts';

/** What one family's filter table should hold beside the standing chains. What is the same as before had better be the same object. */
export interface WantedChains extends WantedHooks {
  /** By name; what is led to before what leads there. */
  readonly profiles: ReadonlyMap<string, readonly Rule[]>;
  readonly podChains: ReadonlyMap<string, readonly Rule[]>;
  /** What becomes of flows that no rule allows, besides. */
  readonly ends: EndForm;
}

export interface ChainPlan {
  /** One transaction; empty when there is nothing to do. */
  readonly lines: RestoreLines;
  /** Whether a live flow may be refused from now on, so that all must be judged again: the transaction must raise the generation. */
  readonly closes: boolean;
  /** Whether the lines do more than to take away stale chains. */
  readonly mends: boolean;
  /** What the table holds once the transaction is committed. */
  readonly after: KernelChains;
  /** The chains that nobody wants and that stay nevertheless. */
  readonly left: readonly string[];
}

/**
 * Returns the plan from `actual` to `wanted`. What is led to comes before what leads there; stale chains go last, when nothing leads to them.
 * New profiles and stale ones close nothing: no flow is judged by them yet, or any more.
 */
export function planChains(actual: KernelChains, wanted: WantedChains, family: IpFamily): ChainPlan {
  const after = new Progress(actual.chains);
  const isJudging = isEntryChain(after.get(ENTRY_CHAIN) ?? [], family);
  const standing = standingLines(actual, { family, after, ends: wanted.ends });
  const profiles = profileLines(wanted.profiles, after);
  const pods = [...contentLines(wanted.podChains, after), ...hookPlan(wanted, after)];
  const { lines: stale, left } = staleLines(wanted, after);
  const jumps = { FORWARD: { count: 1, inPlace: true }, OUTPUT: { count: 1, inPlace: true } };
  const lines = [...standing, ...profiles.made, ...profiles.mended, ...pods];
  return {
    lines: [...lines, ...stale],
    closes: standing.length + profiles.mended.length + pods.length > 0 || !isJudging,
    mends: lines.length > 0 || !isJudging,
    after: { chains: after.chains, jumps },
    left,
  };
}

/**
 * Returns the plan with a new generation in the same transaction: put before the present one, as long as not too many are dead behind it, where the
 * transaction deletes nothing else. One that deletes has its program wait until no processor looks at what goes (RCU).
 */
export function withGeneration(
  plan: ChainPlan,
  { family, mark }: { readonly family: IpFamily; readonly mark: Mark },
): ChainPlan {
  const entry = entryChain(family, mark);
  const all = [...entry.rules, ...(plan.after.chains.get(ENTRY_CHAIN) ?? [])];
  const deletes = plan.lines.some((line) => /^-[DFX] /.test(line));
  const fits = !deletes && all.length > entry.rules.length && isEntryChain(all, family);
  const chains = new Map(plan.after.chains).set(ENTRY_CHAIN, fits ? all : entry.rules);
  const lines = [...plan.lines, ...(fits ? raiseLines(entry) : rewriteLines(entry))];
  return { ...plan, lines, closes: false, after: { ...plan.after, chains } };
}

/**
 * `-N` and not `:NAME` for the standing chains: of two writers that both found one missing the second must fail and look again, not empty what the
 * first has filled. The entry chain gets its content with the generation.
 */
function standingLines(
  { jumps }: KernelChains,
  { family, after, ends }: { readonly family: IpFamily; readonly after: Progress; readonly ends: EndForm },
): RestoreLines {
  const missing = STANDING_CHAINS.filter((name) => !after.chains.has(name));
  for (const name of missing) after.set(name, []);
  return [
    ...missing.map((chain) => `-N ${chain}`),
    ...contentLines(lastChains(family, ends), after),
    ...jumpLines(jumps),
  ];
}

const knownLast = new Map<string, ReadonlyMap<string, readonly Rule[]>>();

/** The same objects each time tell at once that nothing has changed. */
function lastChains(family: IpFamily, ends: EndForm): ReadonlyMap<string, readonly Rule[]> {
  const key = `${family} ${ends.isRecording} ${ends.nflogGroup}`;
  const known = knownLast.get(key);
  if (known !== undefined) return known;
  const chains = [rejectChain(family), ...endChains(family, ends)];
  const made = new Map(chains.map(({ name, rules }) => [name, rules]));
  knownLast.set(key, made);
  return made;
}

function jumpLines(jumps: KernelChains['jumps']): RestoreLines {
  return (['FORWARD', 'OUTPUT'] as const).flatMap((chain) => {
    const { count, inPlace } = jumps[chain];
    if (inPlace && count === 1) return [];
    return [...Array.from({ length: count }, () => `-D ${chain} ${JUMPS[chain]}`), `-I ${chain} ${JUMPS[chain]}`];
  });
}
