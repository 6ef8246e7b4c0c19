import { familyOf, type IpFamily } from '../net/family.ts';
import type { AddressSet } from '../rules/addressSet.ts';
import { planChains, targetOf, withGeneration, type ChainPlan } from '../rules/chainPlan.ts';
import { planIpsets, type SetContents } from '../rules/ipsetPlan.ts';
import { NOTHING_IN_KERNEL, type KernelChains } from '../rules/kernelChains.ts';
import type { Mark } from '../rules/mark.ts';
import { PROFILES_CHAIN } from '../rules/names.ts';
import type { Rule } from '../rules/chain.ts';
import { podChains, podHookRules, type PodHooks, type PodJudgements } from '../rules/podChains.ts';
import { HOOK_CHAINS, podChainNames, withHooks } from '../rules/podRestore.ts';
import type { WantedPolicy } from '../rules/wanted.ts';
import { wantedChains, type AttachedPod } from '../rules/wantedChains.ts';
import { countIpsetMembers, readIpsets, restoreIpsets } from './ipset.ts';
import type { Iptables } from './iptables.ts';

/** Chains longer than this are looked at only in a thorough read: printing them every second would cost more than it tells. */
const LONG_CHAIN_RULES = 200;

export interface Wanted {
  readonly policy: WantedPolicy;
  readonly pods: readonly AttachedPod[];
  /** Pod chains that a DEL under way is taking out: not ours to touch. */
  readonly leaving: ReadonlySet<string>;
  readonly claimMark: () => Mark;
}

export interface Applied {
  /** Whether anything was written. */
  readonly changed: boolean;
  /** Whether something may have been closed, so that live flows are judged again. */
  readonly closed: boolean;
}

/**
 * What this node's kernel holds of ours, and the way from there to what is wanted. It is remembered, so that a change writes what differs and
 * reads nothing; `read` looks again. After a failure nothing is remembered: read before the next `apply`.
 */
export class Kernel {
  readonly #tables: readonly Iptables[];
  readonly #chains = new Map<IpFamily, KernelChains>();
  #sets: SetContents = new Map();
  // A crash between a set's change and the generation leaves no trace: whoever starts raises it once.
  #owesGeneration = true;
  /** Whether something was closed since `apply` last told. */
  #closed = false;

  constructor(tables: readonly Iptables[]) {
    this.#tables = tables;
  }

  /** Returns how many sets and chains of ours the kernel holds, as far as known. */
  size(): { readonly sets: number; readonly chains: number } {
    return {
      sets: this.#sets.size,
      chains: Math.max(0, ...[...this.#chains.values()].map(({ chains }) => chains.size)),
    };
  }

  /** Reads our chains and sets. Chains that nothing of ours leads to are not found, and there are none. Throws a CommandError. */
  async read({
    thorough,
    ignore,
  }: {
    readonly thorough: boolean;
    readonly ignore: ReadonlySet<string>;
  }): Promise<void> {
    await Promise.all([
      this.#readSets(thorough),
      ...this.#tables.map((table) => this.#readChains(table, { thorough, ignore })),
    ]);
  }

  async #readSets(thorough: boolean): Promise<void> {
    if (!thorough) {
      const counts = await countIpsetMembers();
      if (
        counts.size === this.#sets.size &&
        [...this.#sets].every(([name, { members }]) => counts.get(name) === members.size)
      )
        return;
    }
    this.#sets = await readIpsets();
  }

  async #readChains(
    table: Iptables,
    { thorough, ignore }: { readonly thorough: boolean; readonly ignore: ReadonlySet<string> },
  ): Promise<void> {
    const known = this.#chains.get(table.family)?.chains ?? new Map<string, readonly string[]>();
    const skipped = thorough ? [] : [...known].filter(([, rules]) => rules.length > LONG_CHAIN_RULES);
    const skippedNames = new Set(skipped.map(([name]) => name));
    const { chains, jumps } = await table.read(
      [...known.keys()].filter((name) => !skippedNames.has(name) && !ignore.has(name)),
    );
    const all = new Map([...skipped, ...chains]);
    const led = [...HOOK_CHAINS, PROFILES_CHAIN].flatMap((name) => (all.get(name) ?? []).map(targetOf));
    const unknown = [...new Set(led)].filter(
      (name) => name.startsWith('NWPLCY-') && !all.has(name) && !ignore.has(name),
    );
    const more = unknown.length === 0 ? undefined : await table.read(unknown);
    this.#chains.set(table.family, { chains: new Map([...all, ...(more?.chains ?? [])]), jumps });
  }

  /** Takes over what an ADD has written since the last look: the pod's chains and hooks in the families of its addresses. */
  noteHooked(hooks: PodHooks, judgements: PodJudgements): void {
    for (const family of new Set(hooks.addresses.map(familyOf))) {
      const known = this.#chains.get(family);
      if (known === undefined) continue;
      // An ADD that came twice has replaced what the first one wrote.
      const chains = withoutChains(known.chains, new Set(podChainNames(hooks)));
      for (const { name, rules } of podChains(hooks, { family, judgements })) chains.set(name, rules);
      const rules = podHookRules(hooks, family);
      for (const name of HOOK_CHAINS) chains.set(name, withHooks(chains.get(name) ?? [], rules[name]));
      this.#chains.set(family, { ...known, chains });
    }
  }

  /** Takes over what a DEL has taken out. */
  noteGone(gone: ReadonlySet<string>): void {
    for (const [family, known] of this.#chains)
      this.#chains.set(family, { ...known, chains: withoutChains(known.chains, gone) });
  }

  /**
   * Brings the kernel to what is wanted: sets are filled before rules name them, each family's rules change in one transaction, and sets are
   * destroyed when no rule names them any more. Throws a CommandError.
   */
  async apply(wanted: Wanted): Promise<Applied> {
    const sets = await this.#fillSets(wanted);
    const mark = memoized(wanted.claimMark);
    const plans = await allDone(this.#tables.map((table) => this.#applyChains(table, { wanted, mark })));
    this.#owesGeneration = false;
    const destroyed = await this.#destroySets(sets.stale);
    const closed = this.#closed;
    this.#closed = false;
    return { changed: sets.fill.length + destroyed > 0 || plans.some(({ lines }) => lines.length > 0), closed };
  }

  async #fillSets({ policy }: Wanted): Promise<ReturnType<typeof planIpsets>> {
    const plan = planIpsets(this.#sets, policy.sets);
    // Before the write: if it fails half-way, what it had removed must still raise the generation some day. A member whose pod is gone counts too:
    // the next pod with that address may send what looks like the old one's flow.
    // So does a hole: while a network's exception was missing, its flows were judged without.
    if (plan.removed.length > 0 || plan.fill.some((line) => line.endsWith(' nomatch'))) this.#owesGeneration = true;
    await restoreIpsets(plan.fill);
    this.#sets = union(this.#sets, policy.sets);
    return plan;
  }

  /** The profile of a pod whose ADD is under way may name a set that is wanted no more; it is destroyed another time. */
  async #destroySets(stale: readonly string[]): Promise<number> {
    if (stale.length === 0) return 0;
    const rules = [...this.#chains.values()].flatMap(({ chains }) => [...chains.values()].flat());
    const inUse = new Set(rules.map((rule) => /--match-set (\S+)/.exec(rule)?.[1]));
    const unused = stale.filter((name) => !inUse.has(name));
    await restoreIpsets(unused.map((name) => `destroy ${name}`));
    this.#sets = new Map([...this.#sets].filter(([name]) => !unused.includes(name)));
    return unused.length;
  }

  async #applyChains(
    table: Iptables,
    { wanted, mark }: { readonly wanted: Wanted; readonly mark: () => Mark },
  ): Promise<ChainPlan> {
    const { family } = table;
    const chains = wantedChains(wanted.pods, { family, profiles: wanted.policy.profiles });
    const plan = planChains(
      this.#chains.get(family) ?? NOTHING_IN_KERNEL,
      { ...chains, pending: new Set([...chains.pending, ...wanted.leaving]) },
      family,
    );
    const closes = plan.closes || this.#owesGeneration;
    const whole = closes ? withGeneration(plan, { family, mark: mark() }) : plan;
    if (whole.lines.length > 0) await table.restore(whole.lines);
    this.#chains.set(family, whole.after);
    if (closes) this.#closed = true;
    return whole;
  }
}

/** Returns the chains without some of them and the rules that lead there. */
function withoutChains(chains: KernelChains['chains'], gone: ReadonlySet<string>): Map<string, readonly Rule[]> {
  const left = new Map([...chains].filter(([name]) => !gone.has(name)));
  for (const name of HOOK_CHAINS)
    left.set(
      name,
      (left.get(name) ?? []).filter((rule) => !gone.has(targetOf(rule))),
    );
  return left;
}

/** Waits for all, also when one fails: what goes on behind a failure would be overtaken by the next look. */
async function allDone<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** Sets that are no longer wanted stay until no rule names them. */
function union(actual: SetContents, wanted: ReadonlyMap<string, AddressSet>): SetContents {
  return new Map<string, Pick<AddressSet, 'members'>>([...actual, ...wanted]);
}

function memoized<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
