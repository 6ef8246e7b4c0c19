import { IP_FAMILIES } from '../../net/family.ts';
import { withGeneration } from '../../rules/nftables/generation.ts';
import { nftPodChainNames } from '../../rules/nftables/names.ts';
import { familiesToMake, planTables, type NftPlan, type Untouched } from '../../rules/nftables/plan.ts';
import { withoutPods, withPod } from '../../rules/nftables/podChanges.ts';
import type { NftCommands, NftTables } from '../../rules/nftables/table.ts';
import { wantedTables } from '../../rules/nftables/wantedTables.ts';
import { attachmentOf, idOf, type AttachedPod, type PodHooks, type PodJudgements } from '../../rules/pod.ts';
import type { Applied, Kernel, Wanted } from '../kernel.ts';
import { NftMonitor } from './monitor.ts';
import { commitNft, readTable } from './nft.ts';

/** What this node's kernel holds in our two tables. Every change is one transaction. */
export class NftKernel implements Kernel {
  readonly families = IP_FAMILIES;
  #tables: NftTables = { inet: undefined, bridge: undefined };
  // An agent before may have closed something and not lived to begin a generation.
  #owesGeneration = true;
  #monitor: NftMonitor | undefined;
  /** Whether somebody else may have changed our tables since the last look. */
  #isDoubtful = true;
  /** Whether a look has been taken since the last `apply`. */
  #hasLooked = false;
  /** The attachments whose ADD was under way at a look: what it has written since may have been changed before that. */
  readonly #doubted = new Set<string>();
  /** The pods of the last `apply`, and those that were leaving then, by `idOf`. */
  #pods: ReadonlyMap<string, PodHooks> = new Map();

  size(): { readonly sets: number; readonly chains: number } {
    const { inet, bridge } = this.#tables;
    return {
      sets: (inet?.sets.size ?? 0) + (bridge?.sets.size ?? 0),
      chains: (inet?.chains.size ?? 0) + (bridge?.chains.size ?? 0),
    };
  }

  /** As long as others' changes are heard of, a look that is not thorough has nothing to look for. */
  async read({ thorough }: { readonly thorough: boolean }): Promise<boolean> {
    const isHeard = this.#monitor?.isAlive === true && !this.#monitor.isOverdue;
    if (!thorough && !this.#isDoubtful && isHeard) return false;
    this.#isDoubtful = false;
    this.#monitor?.reset();
    try {
      const [inet, bridge] = await Promise.all([readTable('inet'), readTable('bridge')]);
      this.#tables = { inet, bridge };
    } catch (error) {
      this.#isDoubtful = true;
      throw error;
    }
    this.#hasLooked = true;
    return true;
  }

  noteHooked(hooks: PodHooks, judgements: PodJudgements): void {
    const id = idOf(hooks);
    // What is not known is written once more.
    this.#tables = this.#doubted.delete(id)
      ? withoutPods(this.#tables, [hooks])
      : withPod(this.#tables, { hooks, judgements });
  }

  noteGone(gone: ReadonlySet<string>): void {
    this.#tables = withoutPods(
      this.#tables,
      [...gone].flatMap((id) => this.#pods.get(id) ?? []),
    );
  }

  listen(onChange: () => void): () => void {
    const monitor = new NftMonitor(() => {
      this.#isDoubtful = true;
      onChange();
    });
    this.#monitor = monitor;
    return () => monitor.stop();
  }

  async apply({ policy, pods, leaving, claimMark }: Wanted): Promise<Applied> {
    const underWay = pods.filter(({ judgements }) => judgements === undefined);
    const untouched = this.#untouched(
      underWay.map(({ hooks }) => hooks),
      leaving,
    );
    const plan = this.#plan(pods, { policy, untouched });
    const stillKnown = [...this.#pods].filter(([id]) => leaving.has(id));
    this.#pods = new Map([...stillKnown, ...pods.map(({ hooks }) => [idOf(hooks), hooks] as const)]);
    this.#noteDoubted(underWay);
    const closes = plan.closes || this.#owesGeneration;
    const whole = closes ? withGeneration(plan, claimMark()) : plan;
    // What is to be closed is not closed before the kernel has said so.
    this.#owesGeneration = closes;
    if (whole.commands.length > 0) await this.#commit(whole.commands);
    this.#tables = whole.after;
    this.#owesGeneration = false;
    return { changed: whole.commands.length > 0, closed: closes };
  }

  /** Where a table must be made anew, pods whose ADD is under way are refused until it has ended: nobody knows what it had written. */
  #plan(
    pods: Wanted['pods'],
    { policy, untouched }: Pick<Wanted, 'policy'> & { readonly untouched: Untouched },
  ): NftPlan {
    const settled = wantedTables(
      pods.filter(({ judgements }) => judgements !== undefined),
      policy,
    );
    if (familiesToMake(this.#tables, settled).length === 0)
      return planTables(this.#tables, { wanted: settled, untouched });
    this.#hasLooked = true;
    return planTables(this.#tables, { wanted: wantedTables(pods, policy), untouched: NOTHING_UNTOUCHED });
  }

  #untouched(underWay: readonly PodHooks[], leaving: ReadonlySet<string>): Untouched {
    const gone = [...leaving].map((id) => this.#pods.get(id) ?? attachmentOf(id));
    const names = [...underWay, ...gone].map(nftPodChainNames);
    const known = [...underWay, ...[...leaving].flatMap((id) => this.#pods.get(id) ?? [])];
    return {
      chains: new Set(names.flatMap(({ to, from }) => [to, from])),
      interfaces: new Set(known.flatMap(({ hostInterface }) => hostInterface ?? [])),
    };
  }

  #noteDoubted(underWay: readonly AttachedPod[]): void {
    const ids = new Set(underWay.map(({ hooks }) => idOf(hooks)));
    for (const id of this.#doubted) if (!ids.has(id)) this.#doubted.delete(id);
    if (this.#hasLooked) for (const id of ids) this.#doubted.add(id);
    this.#hasLooked = false;
  }

  async #commit(commands: NftCommands): Promise<void> {
    const isExpected = this.#monitor?.expect(commands) === true;
    try {
      await commitNft(commands);
    } catch (error) {
      if (isExpected) this.#monitor?.unexpect();
      throw error;
    }
    this.#monitor?.confirm();
  }
}

const NOTHING_UNTOUCHED: Untouched = { chains: new Set(), interfaces: new Set() };
