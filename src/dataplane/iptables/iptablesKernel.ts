import { familyOf, IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import { addressSets } from '../../rules/iptables/addressSet.ts';
import { planChains, withGeneration, type ChainPlan } from '../../rules/iptables/chainPlan.ts';
import { HeldSets } from '../../rules/heldSets.ts';
import { planIpsets } from '../../rules/iptables/ipsetPlan.ts';
import { NOTHING_IN_KERNEL, type KernelChains } from '../../rules/iptables/kernelChains.ts';
import type { Mark } from '../../rules/mark.ts';
import { isBucketChain, PROFILES_CHAIN } from '../../rules/names.ts';
import { targetOf, type Rule } from '../../rules/iptables/chain.ts';
import { HOOK_CHAINS, podHookRules, withHooks } from '../../rules/iptables/hooks.ts';
import type { EndForm } from '../../rules/iptables/endChains.ts';
import { podChains } from '../../rules/iptables/podChains.ts';
import { attachmentOf, type PodHooks, type PodJudgements } from '../../rules/pod.ts';
import { podChainNames } from '../../rules/iptables/podRestore.ts';
import { wantedChains } from '../../rules/iptables/wantedChains.ts';
import { FlowLog, type FlowLogState } from '../flowLog.ts';
import type { Applied, Kernel, KernelOptions, Records, Wanted } from '../kernel.ts';
import { countIpsetMembers, readIpsets, restoreIpsets } from './ipset.ts';
import type { Iptables } from './iptables.ts';
import { RecordSets } from './recordSets.ts';

/** Chains longer than this are looked at only in a thorough read: printing them every second would cost more than it tells. */
const LONG_CHAIN_RULES = 200;

/** What this node's kernel holds of ours in the filter tables of iptables, and in ipset. */
export class IptablesKernel implements Kernel {
  readonly families: readonly IpFamily[];
  readonly #tables: readonly Iptables[];
  readonly #chains = new Map<IpFamily, KernelChains>();
  readonly #sets = new HeldSets(addressSets);
  readonly #records: RecordSets;
  readonly #log: FlowLog;
  /** The families that owe a generation. A crash between a set's change and that leaves no trace: whoever starts raises both once. */
  readonly #owing = new Set<IpFamily>(IP_FAMILIES);
  /** Whether something was closed since `apply` last told. */
  #closed = false;

  constructor(tables: readonly Iptables[], { nflogGroup }: KernelOptions = {}) {
    this.#log = new FlowLog(nflogGroup);
    this.#tables = tables;
    this.families = tables.map(({ family }) => family);
    this.#records = new RecordSets(this.families);
  }

  size(): { readonly sets: number; readonly chains: number } {
    return {
      sets: this.#sets.size,
      chains: Math.max(0, ...[...this.#chains.values()].map(({ chains }) => chains.size)),
    };
  }

  /** Chains that nothing of ours leads to are not found, and there are none. */
  async read({
    thorough,
    leaving,
  }: {
    readonly thorough: boolean;
    readonly leaving: ReadonlySet<string>;
  }): Promise<boolean> {
    await Promise.all([
      this.#readSets(thorough),
      ...this.#tables.map((table) => this.#readChains(table, { thorough, leaving: chainsOf(leaving) })),
    ]);
    return true;
  }

  async #readSets(thorough: boolean): Promise<void> {
    const { peers, records } = await countIpsetMembers();
    this.#records.found(records, { thorough });
    if (thorough) this.#log.tryAgain();
    if (!thorough && this.#sets.hasSizes(peers)) return;
    this.#sets.found(await readIpsets());
  }

  async #readChains(
    table: Iptables,
    { thorough, leaving }: { readonly thorough: boolean; readonly leaving: ReadonlySet<string> },
  ): Promise<void> {
    const known = this.#chains.get(table.family)?.chains ?? new Map<string, readonly string[]>();
    const skipped = thorough ? [] : [...known].filter(([, rules]) => rules.length > LONG_CHAIN_RULES);
    const skippedNames = new Set(skipped.map(([name]) => name));
    // A DEL takes a pod's chains out with the hooks that lead there: where these are gone it costs nothing to see that those are.
    const { chains, jumps } = await table.read(
      [...known.keys()].filter((name) => !skippedNames.has(name) && !leaving.has(name)),
    );
    const all = new Map([...skipped, ...chains]);
    const asked = new Set(skippedNames);
    for (let unknown = unknownIn(all, asked); unknown.length > 0; unknown = unknownIn(all, asked)) {
      for (const name of unknown) asked.add(name);
      for (const [name, rules] of (await table.read(unknown)).chains) all.set(name, rules);
    }
    this.#chains.set(table.family, { chains: all, jumps });
  }

  /** ADD writes in the families of the pod's addresses. */
  noteHooked(hooks: PodHooks, judgements: PodJudgements): void {
    for (const family of new Set(hooks.addresses.map(familyOf))) {
      const known = this.#chains.get(family);
      if (known === undefined) continue;
      // An ADD that came twice has replaced what the first one wrote.
      const chains = withoutChains(known.chains, new Set(podChainNames(hooks)));
      for (const { name, rules } of podChains(hooks, { family, judgements })) chains.set(name, rules);
      const put = Map.groupBy(podHookRules(hooks, family), ({ chain }) => chain);
      for (const [name, added] of put) chains.set(name, withHooks(chains.get(name) ?? [], added));
      this.#chains.set(family, { ...known, chains });
    }
  }

  async records(): Promise<Records> {
    return { flows: await this.#records.read(), problem: this.#records.problem };
  }

  flowLog(): FlowLogState | undefined {
    return this.#log.state;
  }

  /** Nobody tells of changes in the tables of iptables: they are looked for. */
  listen(): () => void {
    return () => undefined;
  }

  /** Sets are filled before rules name them, each family's rules change in one transaction, and sets are destroyed when no rule names them any more. */
  async apply(wanted: Wanted): Promise<Applied> {
    const filled = await this.#fillSets(wanted);
    const mark = memoized(wanted.claimMark);
    const write = async (ends: EndForm) =>
      allDone(this.#tables.map((table) => this.#applyChains(table, { wanted, mark, ends })));
    const plans = await this.#log.tryOut(async (nflogGroup) =>
      this.#records.tryOut(async (isRecording) => write({ isRecording, nflogGroup })),
    );
    this.#owing.clear();
    const destroyed = await this.#destroySets(filled.stale, plans);
    const closed = this.#closed;
    this.#closed = false;
    const changed = filled.lines + destroyed > 0 || plans.some(({ lines }) => lines.length > 0);
    return { changed, mended: filled.lines > 0 || plans.some(({ mends }) => mends), closed };
  }

  async #fillSets({
    policy: { groups },
  }: Wanted): Promise<{ readonly lines: number; readonly stale: ReadonlySet<string> }> {
    let plan = this.#sets.plan(groups);
    if (plan.unknown.length > 0) {
      this.#sets.foundAmong(plan.unknown, await readIpsets());
      plan = this.#sets.plan(groups);
    }
    const { fill, closes } = planIpsets(plan.changes);
    // Before the write: if it fails half-way, what it had removed must still raise the generation some day. A member whose pod is gone counts too:
    // the next pod with that address may send what looks like the old one's flow.
    for (const family of closes) this.#owing.add(family);
    await restoreIpsets(fill);
    this.#sets.settle(plan);
    return { lines: fill.length, stale: plan.stale };
  }

  /** The profile of a pod whose ADD is under way may name a set that is wanted no more; it is destroyed another time. Wanted chains name wanted sets. */
  async #destroySets(stale: ReadonlySet<string>, plans: readonly ChainPlan[]): Promise<number> {
    if (stale.size === 0) return 0;
    const rules = plans.flatMap(({ left, after }) => left.flatMap((name) => after.chains.get(name) ?? []));
    const unused = stale.difference(new Set(rules.map((rule) => /--match-set (\S+)/.exec(rule)?.[1])));
    await restoreIpsets([...unused].map((name) => `destroy ${name}`));
    this.#sets.settleGone(unused);
    return unused.size;
  }

  async #applyChains(
    table: Iptables,
    { wanted, mark, ends }: { readonly wanted: Wanted; readonly mark: () => Mark; readonly ends: EndForm },
  ): Promise<ChainPlan> {
    const { family } = table;
    const chains = wantedChains(wanted.pods, { family, profiles: wanted.policy.profiles, ends });
    const pending = new Set([
      ...chains.pending,
      ...chainsOf(wanted.leaving),
      ...wanted.unsettled.flatMap(podChainNames),
    ]);
    const plan = planChains(this.#chains.get(family) ?? NOTHING_IN_KERNEL, { ...chains, pending }, family);
    const closes = plan.closes || this.#owing.has(family);
    const whole = closes ? withGeneration(plan, { family, mark: mark() }) : plan;
    if (whole.lines.length > 0) await table.restore(whole.lines);
    this.#chains.set(family, whole.after);
    if (closes) this.#closed = true;
    return whole;
  }
}

/** Returns the pods' chains of attachments that are told by `idOf`. */
function chainsOf(ids: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...ids].flatMap((id) => podChainNames(attachmentOf(id))));
}

/** Returns the chains without some of them and the rules that lead there. */
function withoutChains(chains: KernelChains['chains'], gone: ReadonlySet<string>): Map<string, readonly Rule[]> {
  const left = new Map([...chains].filter(([name]) => !gone.has(name)));
  for (const [name, rules] of left)
    if (holdsHooks(name)) {
      const kept = rules.filter((rule) => !gone.has(targetOf(rule)));
      if (kept.length < rules.length) left.set(name, kept);
    }
  return left;
}

function holdsHooks(name: string): boolean {
  return HOOK_CHAINS.some((chain) => chain === name) || isBucketChain(name);
}

/** Returns the chains that hooks, buckets and the list of profiles lead to and that nobody has asked for yet. */
function unknownIn(chains: KernelChains['chains'], asked: ReadonlySet<string>): readonly string[] {
  const led = [...chains].flatMap(([name, rules]) =>
    holdsHooks(name) || name === PROFILES_CHAIN ? rules.map(targetOf) : [],
  );
  return [...new Set(led)].filter((name) => name.startsWith('NWPLCY-') && !chains.has(name) && !asked.has(name));
}

/** Waits for all, also when one fails: what goes on behind a failure would be overtaken by the next look. */
async function allDone<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function memoized<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
