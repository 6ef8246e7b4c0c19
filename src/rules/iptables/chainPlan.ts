import type { IpFamily } from '../../net/family.ts';
import type { Chain, Rule } from './chain.ts';
import { entryChain, isEntryChain, JUMPS, rejectChain, STANDING_CHAINS } from './entryChains.ts';
import type { KernelChains } from './kernelChains.ts';
import type { Mark } from '../mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, INGRESS_CHAIN, isPodChain, isProfileChain, PROFILES_CHAIN } from '../names.ts';
import { dropChainLines, hookLines, rewriteLines, withHooks, type RestoreLines } from './podRestore.ts';

/** What one family's filter table should hold beside the standing chains. */
export interface WantedChains {
  readonly profiles: readonly Chain[];
  readonly podChains: readonly Chain[];
  readonly hooks: Readonly<Record<typeof EGRESS_CHAIN | typeof INGRESS_CHAIN, readonly Rule[]>>;
  /** Pod chains that an ADD under way is filling: neither they nor the hooks that lead to them are touched. */
  readonly pending: ReadonlySet<string>;
}

export interface ChainPlan {
  /** One transaction; empty when there is nothing to do. */
  readonly lines: RestoreLines;
  /** Whether a live flow may be refused from now on, so that all must be judged again: the transaction must raise the generation. */
  readonly closes: boolean;
  /** What the table holds once the transaction is committed. */
  readonly after: KernelChains;
}

/**
 * Returns the plan from `actual` to `wanted`. What is led to comes before what leads there; stale chains go last, when nothing leads to them.
 * New profiles and stale ones close nothing: no flow is judged by them yet, or any more.
 */
export function planChains(actual: KernelChains, wanted: WantedChains, family: IpFamily): ChainPlan {
  const after = new Map(actual.chains);
  const standing = standingLines(actual, { family, after });
  const newProfiles = profileLines(actual, {
    wanted: wanted.profiles.filter(({ name }) => !actual.chains.has(name)),
    after,
  });
  const mended = profileLines(actual, { wanted: wanted.profiles.filter(({ name }) => actual.chains.has(name)), after });
  const pods = [
    ...contentLines(actual, { wanted: wanted.podChains, after }),
    ...hookChainLines(actual, { wanted, after }),
  ];
  const stale = staleLines(actual, { wanted, after });
  const jumps = { FORWARD: { count: 1, inPlace: true }, OUTPUT: { count: 1, inPlace: true } };
  return {
    lines: [...standing, ...newProfiles, ...mended, ...pods, ...stale],
    closes:
      standing.length + mended.length + pods.length > 0 || !isEntryChain(actual.chains.get(ENTRY_CHAIN) ?? [], family),
    after: { chains: after, jumps },
  };
}

/** Returns the plan with a new generation in the same transaction. */
export function withGeneration(
  plan: ChainPlan,
  { family, mark }: { readonly family: IpFamily; readonly mark: Mark },
): ChainPlan {
  const entry = entryChain(family, mark);
  const chains = new Map(plan.after.chains).set(ENTRY_CHAIN, entry.rules);
  return { lines: [...plan.lines, ...rewriteLines(entry)], closes: false, after: { ...plan.after, chains } };
}

interface Progress {
  /** What the chains hold after the lines so far. */
  readonly after: Map<string, readonly Rule[]>;
}

/**
 * `-N` and not `:NAME` for the standing chains: of two writers that both found one missing the second must fail and look again, not empty what the
 * first has filled. The entry chain gets its content with the generation.
 */
function standingLines(
  actual: KernelChains,
  { family, after }: Progress & { readonly family: IpFamily },
): RestoreLines {
  const missing = STANDING_CHAINS.filter((name) => !actual.chains.has(name));
  for (const name of missing) after.set(name, []);
  const reject = contentLines({ ...actual, chains: new Map(after) }, { wanted: [rejectChain(family)], after });
  return [...missing.map((name) => `-N ${name}`), ...reject, ...jumpLines(actual)];
}

function jumpLines({ jumps }: KernelChains): RestoreLines {
  return (['FORWARD', 'OUTPUT'] as const).flatMap((chain) => {
    const { count, inPlace } = jumps[chain];
    if (inPlace && count === 1) return [];
    return [...Array.from({ length: count }, () => `-D ${chain} ${JUMPS[chain]}`), `-I ${chain} ${JUMPS[chain]}`];
  });
}

/** Profiles are also written down in a chain that nobody enters: that is how a later agent finds them. */
function profileLines(
  actual: KernelChains,
  { wanted, after }: Progress & { readonly wanted: readonly Chain[] },
): RestoreLines {
  const index = after.get(PROFILES_CHAIN) ?? [];
  const unlisted = wanted.map(({ name }) => `-j ${name}`).filter((rule) => !index.includes(rule));
  after.set(PROFILES_CHAIN, [...index, ...unlisted]);
  return [...contentLines(actual, { wanted, after }), ...unlisted.map((rule) => `-A ${PROFILES_CHAIN} ${rule}`)];
}

function contentLines(
  actual: KernelChains,
  { wanted, after }: Progress & { readonly wanted: readonly Chain[] },
): RestoreLines {
  return wanted.flatMap((chain) => {
    const present = actual.chains.get(chain.name);
    if (present !== undefined && sameRules(present, chain.rules)) return [];
    after.set(chain.name, chain.rules);
    const [, ...fill] = rewriteLines(chain);
    return [present === undefined ? `:${chain.name} - [0:0]` : `-F ${chain.name}`, ...fill];
  });
}

function hookChainLines(
  actual: KernelChains,
  { wanted, after }: Progress & { readonly wanted: WantedChains },
): RestoreLines {
  return ([EGRESS_CHAIN, INGRESS_CHAIN] as const).flatMap((chain) => {
    const present = actual.chains.get(chain) ?? [];
    const settled = present.filter((rule) => !wanted.pending.has(targetOf(rule)));
    const surplus = withoutFirst(settled, wanted.hooks[chain]);
    const missing = withoutFirst(wanted.hooks[chain], settled);
    after.set(chain, withHooks(withoutFirst(present, surplus), missing));
    return [...surplus.map((rule) => `-D ${chain} ${rule}`), ...hookLines(chain, missing)];
  });
}

function staleLines(
  actual: KernelChains,
  { wanted, after }: Progress & { readonly wanted: WantedChains },
): RestoreLines {
  // A pod whose ADD or DEL is under way still leads to the profile that it was given.
  const inUse = [...wanted.pending].flatMap((name) => (actual.chains.get(name) ?? []).map(targetOf));
  const kept = new Set([...[...wanted.profiles, ...wanted.podChains].map(({ name }) => name), ...inUse]);
  const stale = [...actual.chains.keys()].filter((name) => !kept.has(name) && !wanted.pending.has(name));
  const profiles = stale.filter(isProfileChain);
  const listed = (actual.chains.get(PROFILES_CHAIN) ?? []).filter((rule) => profiles.includes(targetOf(rule)));
  after.set(PROFILES_CHAIN, withoutFirst(after.get(PROFILES_CHAIN) ?? [], listed));
  const gone = [...stale.filter(isPodChain), ...profiles];
  for (const name of gone) after.delete(name);
  return [...listed.map((rule) => `-D ${PROFILES_CHAIN} ${rule}`), ...gone.flatMap(dropChainLines)];
}

/** Returns the chain that a rule leads to: every rule of ours that leads anywhere ends with it. */
export function targetOf(rule: Rule): string {
  return rule.slice(rule.lastIndexOf(' ') + 1);
}

function sameRules(a: readonly Rule[], b: readonly Rule[]): boolean {
  return a.length === b.length && a.every((rule, index) => rule === b[index]);
}

/** Returns what is left of `rules` when one occurrence of each of `taken` is taken away. */
function withoutFirst(rules: readonly Rule[], taken: readonly Rule[]): readonly Rule[] {
  const counts = new Map<Rule, number>();
  for (const rule of taken) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  return rules.filter((rule) => {
    const count = counts.get(rule) ?? 0;
    if (count > 0) counts.set(rule, count - 1);
    return count === 0;
  });
}
