import { IP_FAMILIES } from '../../net/family.ts';
import { HeldSets, type FoundSet, type SetPlan } from '../../rules/heldSets.ts';
import { addRules } from '../../rules/nftables/commands.ts';
import { logRule } from '../../rules/nftables/endChains.ts';
import { withGeneration } from '../../rules/nftables/generation.ts';
import { nftPodChainNames } from '../../rules/nftables/names.ts';
import { peerSets, withoutPeers, type NftPeerSet } from '../../rules/nftables/peerSets.ts';
import { familiesToMake, planTables, type NftPlan, type Untouched } from '../../rules/nftables/plan.ts';
import { withoutPods, withPod } from '../../rules/nftables/podChanges.ts';
import { at, type NftCommands, type NftTables } from '../../rules/nftables/table.ts';
import { wantedTables } from '../../rules/nftables/wantedTables.ts';
import { attachmentOf, idOf, type AttachedPod, type PodHooks, type PodJudgements } from '../../rules/pod.ts';
import { FlowLog, type FlowLogState } from '../flowLog.ts';
import type { Applied, Kernel, KernelOptions, Records, Wanted } from '../kernel.ts';
import { NftMonitor } from './monitor.ts';
import { checkNft, commitNft, readSets, readTable } from './nft.ts';
import { readRecords } from './recordSets.ts';

/** What this node's kernel holds in our two tables. Every change is one transaction; what it leaves stale goes in a second one. */
export class NftKernel implements Kernel {
  readonly families = IP_FAMILIES;
  /** Without the sets of peers. */
  #tables: NftTables = { inet: undefined, bridge: undefined };
  readonly #peers = new HeldSets(peerSets);
  readonly #log: FlowLog;
  // An agent before may have closed something and not lived to begin a generation.
  #owesGeneration = true;
  /** Whether something was closed since `apply` last told. */
  #hasClosed = false;
  #monitor: NftMonitor | undefined;
  /** Whether somebody else may have changed our tables since the last look. */
  #isDoubtful = true;
  /** Whether a look has been taken since the last `apply`. */
  #hasLooked = false;
  /** The attachments whose ADD was under way at a look: what it has written since may have been changed before that. */
  readonly #doubted = new Set<string>();
  /** The pods of the last `apply`, and those that were leaving then, by `idOf`. */
  #pods: ReadonlyMap<string, PodHooks> = new Map();

  constructor({ nflogGroup }: KernelOptions = {}) {
    this.#log = new FlowLog(nflogGroup);
  }

  size(): { readonly sets: number; readonly chains: number } {
    const { inet, bridge } = this.#tables;
    return {
      sets: (inet?.sets.size ?? 0) + this.#peers.size + (bridge?.sets.size ?? 0),
      chains: (inet?.chains.size ?? 0) + (bridge?.chains.size ?? 0),
    };
  }

  /** As long as others' changes are heard of, a look that is not thorough has nothing to look for. */
  async read({ thorough }: { readonly thorough: boolean }): Promise<boolean> {
    const isHeard = this.#monitor?.isAlive === true && !this.#monitor.isOverdue;
    if (!thorough && !this.#isDoubtful && isHeard) return false;
    this.#isDoubtful = false;
    if (thorough) this.#log.tryAgain();
    this.#monitor?.reset();
    try {
      const [inet, bridge] = await Promise.all([readTable('inet'), readTable('bridge')]);
      const own = inet && withoutPeers(inet);
      this.#tables = { inet: own?.table, bridge };
      this.#peers.found(own?.peers ?? NO_SETS);
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

  listen(onChange: () => void): () => void {
    const monitor = new NftMonitor(() => {
      this.#isDoubtful = true;
      onChange();
    });
    this.#monitor = monitor;
    return () => monitor.stop();
  }

  async records(): Promise<Records> {
    return { flows: await readRecords(), problem: undefined };
  }

  flowLog(): FlowLogState | undefined {
    return this.#log.state;
  }

  async apply({ policy, pods, leaving, unsettled, claimMark }: Wanted): Promise<Applied> {
    const underWay = pods.filter(({ judgements }) => judgements === undefined);
    const untouched = this.#untouched([...underWay.map(({ hooks }) => hooks), ...unsettled], leaving);
    const { plan, peers } = await this.#plan(pods, { policy, untouched });
    const stillKnown = [...this.#pods].filter(([id]) => leaving.has(id));
    this.#pods = new Map([...stillKnown, ...pods.map(({ hooks }) => [idOf(hooks), hooks] as const)]);
    this.#noteDoubted(underWay);
    const closes = plan.closes || this.#owesGeneration;
    const whole = closes ? withGeneration(plan, claimMark()) : plan;
    // What is to be closed is not closed before the kernel has said so.
    this.#owesGeneration = closes;
    await this.#commit(whole.commands);
    this.#owesGeneration = false;
    this.#hasClosed ||= closes;
    await this.#commit(whole.cleanUp);
    this.#tables = whole.after;
    this.#peers.settle(peers);
    this.#peers.settleGone(whole.deletedPeers);
    const closed = this.#hasClosed;
    this.#hasClosed = false;
    const mended = whole.commands.length > 0;
    return { changed: mended || whole.cleanUp.length > 0, mended, closed };
  }

  /** Where a table must be made anew, pods whose ADD is under way are refused until it has ended: nobody knows what it had written. */
  async #plan(
    pods: Wanted['pods'],
    { policy, untouched }: Pick<Wanted, 'policy'> & { readonly untouched: Untouched },
  ): Promise<{ readonly plan: NftPlan; readonly peers: SetPlan<NftPeerSet> }> {
    const settled = pods.filter(({ judgements }) => judgements !== undefined);
    const nflogGroup = await this.#log.tryOut(loggable);
    const wanted = wantedTables(settled, { ...policy, nflogGroup });
    const peers = await this.#planPeers(policy);
    // What was planned here has nothing in it that cannot be changed.
    const toMake = this.#hasLooked ? familiesToMake(this.#tables, { wanted, misfits: peers.misfits }) : [];
    if (toMake.length === 0) return { plan: planTables(this.#tables, { wanted, peers, untouched, toMake }), peers };
    this.#hasLooked = true;
    if (toMake.includes('inet')) this.#peers.found(NO_SETS);
    const all = this.#peers.plan(policy.groups);
    const options = {
      wanted: wantedTables(pods, { ...policy, nflogGroup }),
      peers: all,
      untouched: NOTHING_UNTOUCHED,
      toMake,
    };
    return { plan: planTables(this.#tables, options), peers: all };
  }

  async #planPeers({ groups }: Wanted['policy']): Promise<SetPlan<NftPeerSet>> {
    const plan = this.#peers.plan(groups);
    if (plan.unknown.length === 0) return plan;
    this.#peers.foundAmong(plan.unknown, await readSets(plan.unknown));
    return this.#peers.plan(groups);
  }

  #untouched(arriving: readonly PodHooks[], leaving: ReadonlySet<string>): Untouched {
    const gone = [...leaving].map((id) => this.#pods.get(id) ?? attachmentOf(id));
    const names = [...arriving, ...gone].map(nftPodChainNames);
    const known = [...arriving, ...[...leaving].flatMap((id) => this.#pods.get(id) ?? [])];
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
    if (commands.length === 0) return;
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

/** Returns the group again. Throws a CommandError where the kernel would refuse to log to it. */
async function loggable(
  group: number | undefined,
  { isTaken }: { readonly isTaken: boolean },
): Promise<number | undefined> {
  if (group === undefined || isTaken) return group;
  const rules = [logRule({ kind: 'denied', direction: 'ingress' }, group)];
  await checkNft([`add table ${at('inet')}`, ...addRules('inet', { name: 'try-log', rules })]);
  return group;
}

const NOTHING_UNTOUCHED: Untouched = { chains: new Set(), interfaces: new Set() };
const NO_SETS: ReadonlyMap<string, FoundSet> = new Map();
