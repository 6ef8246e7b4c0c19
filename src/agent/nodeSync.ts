import { familyOf } from '../net/family.ts';
import type { Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';
import { compile } from '../policy/compile.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../rules/mark.ts';
import { idOf, QUARANTINE, type AttachedPod, type PodJudgements } from '../rules/pod.ts';
import { wantedPolicy, type WantedPolicy } from '../rules/wanted.ts';
import type { Source } from '../source/source.ts';
import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import { deleteFlowsFrom } from '../dataplane/conntrack.ts';
import type { Kernel } from '../dataplane/kernel.ts';
import { acknowledge, isAcknowledged, readAttachments, type RecordedAttachment } from '../rendezvous/attachment.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import { claimGeneration, currentGeneration } from '../rendezvous/generation.ts';
import { AdoptedPods, isAdopted, type AdoptedPod } from './adoptedPods.ts';
import { Attachments } from './attachments.ts';
import { ExpectedPods } from './expectedPods.ts';
import { Handover, type HandoverOptions } from './handover.ts';
import { localView, type LocalView } from './localPods.ts';
import { PassRunner } from './passRunner.ts';
import { endRefusedUdpFlows } from './udpFlows.ts';

export interface NodeSyncOptions extends HandoverOptions {
  readonly nodeName: string;
  readonly runtimeDir: string;
  readonly source: Source;
  readonly kernel: Kernel;
}

/** What follows from the objects and the attachments; made anew only when either changes. */
interface Answer {
  readonly objects: Cluster;
  readonly attached: string;
  readonly view: LocalView;
  readonly policy: WantedPolicy;
}

/** One pass after the other: objects and attachments in, kernel and rendezvous files out. */
export class NodeSync {
  readonly #options: NodeSyncOptions;
  readonly #kernel: Kernel;
  readonly #attachments = new Attachments();
  readonly #expected: ExpectedPods;
  readonly #adopted: AdoptedPods;
  readonly #handover: Handover;
  #answer: Answer | undefined;
  /** The one that the kernel holds. */
  #appliedAnswer: Answer | undefined;
  #markMask = DEFAULT_MARK_MASK;
  #pods: readonly AttachedPod[] = [];
  /** The attachments, by `idOf`, that came or went during the look at the kernel. */
  #unsettled: ReadonlySet<string> = new Set();
  #lastSync: AgentStatus['lastSync'];
  #repairs = 0;
  // Beside the passes: a node has many flows, and nothing may wait for their end but who asks for it.
  readonly #flows = new PassRunner(() => this.#endRefusedUdpFlows());

  constructor(options: NodeSyncOptions) {
    this.#options = options;
    this.#kernel = options.kernel;
    this.#expected = new ExpectedPods(options.runtimeDir);
    this.#adopted = new AdoptedPods(options.log);
    this.#handover = new Handover(options);
  }

  /**
   * Brings everything up to date once, with a look at the kernel first if asked for. Throws when the kernel or the file system refuses; then the
   * next pass must look.
   */
  async pass(look: 'none' | 'quick' | 'thorough'): Promise<void> {
    const started = performance.now();
    const { runtimeDir } = this.#options;
    // Records before the kernel: what the records say is hooked then is in what the kernel shows.
    const changes = this.#attachments.update(readAttachments(runtimeDir), Date.now());
    const { appeared, hooked, gone } = changes;
    this.#handover.note(changes);
    const freed = this.#endFlowsOfEarlierHolders(appeared);
    this.#kernel.noteGone(gone);
    const written = hooked.filter((record) => this.#handover.isOurs(record));
    const ignore = this.#attachments.leaving();
    const hasLooked = look !== 'none' && (await this.#kernel.read({ thorough: look === 'thorough', ignore }));
    if (!hasLooked) for (const record of written) this.#kernel.noteHooked(record, record.judgements);
    // And after it: what ADD hooked in or DEL took out meanwhile is left alone until the next pass.
    this.#unsettled = hasLooked ? this.#attachments.unlike(readAttachments(runtimeDir)) : new Set();

    const before = this.#appliedAnswer;
    const answer = this.#answerFor(this.#options.source.state().cluster);
    this.#tellSource(answer);
    const adopted = await this.#adopted.update(answer.view.unrecorded, { look: look === 'thorough' });
    const applied = await this.#apply(answer, adopted);
    this.#appliedAnswer = answer;
    await freed;
    this.#expected.update(answer.view.cluster, answer.policy);
    this.#acknowledgeAll();
    this.#handover.finish(this.#attachments.all(), (record) => this.#attachments.isUnderWay(record, Date.now()));
    if (applied.closed) void this.#flows.run();
    if (applied.changed)
      this.#tell({ started, drift: before === answer && appeared.length + hooked.length + gone.size === 0 });
  }

  /** Returns why the rules do not reach the packets of some pods, or `undefined`. ADD asks the same of the pods that it hooks in. */
  unfiltered(): string | undefined {
    const bridged = this.#pods.filter(({ hooks }) => hooks.bridged).flatMap(({ hooks }) => hooks.addresses);
    const problem = bridgeFilterProblem(bridged);
    return problem === undefined ? undefined : `Cannot protect pods on a bridge: ${problem}`;
  }

  /** Returns this part of the status. */
  report(): Pick<AgentStatus, 'generation' | 'pods' | 'kernel' | 'lastSync' | 'repairs'> {
    const judged = this.#pods.flatMap(({ hooks, judgements }) =>
      judgements === undefined ? [] : [{ hooks, judgements }],
    );
    const has = (kind: PodJudgements['ingress']['kind']) =>
      judged.filter(({ judgements }) => judgements.ingress.kind === kind || judgements.egress.kind === kind);
    return {
      generation: currentGeneration(this.#options.runtimeDir) ?? 0,
      pods: {
        attached: this.#pods.length,
        adopted: this.#pods.filter(({ hooks }) => isAdopted(hooks)).length,
        isolated: has('profile').length,
        quarantined: has('quarantine').map(({ hooks }) => objectKey(hooks)),
      },
      kernel: this.#kernel.size(),
      lastSync: this.#lastSync,
      repairs: this.#repairs,
    };
  }

  #tellSource({ view }: Answer): void {
    const { source } = this.#options;
    const records = this.#attachments.all();
    for (const record of records) if (!view.podOf.has(idOf(record))) source.lookFor?.(record);
    const pods = records.flatMap((record) => view.cluster.pods.get(view.podOf.get(idOf(record)) ?? '') ?? []);
    source.shareAddresses?.(
      new Map(pods.flatMap(({ uid, addresses }) => (uid === undefined ? [] : [[uid, addresses]]))),
    );
  }

  #answerFor(objects: Cluster): Answer {
    const attachments = this.#attachments.all();
    const attached = attachments
      .map((record) => [idOf(record), objectKey(record), record.uid, record.addresses].join())
      .join('\n');
    if (this.#answer?.objects === objects && this.#answer.attached === attached) return this.#answer;
    const view = localView(objects, {
      nodeName: this.#options.nodeName,
      attachments,
      detached: this.#attachments.detachedOf(objects.pods),
    });
    const policy = wantedPolicy(compile(view.cluster, this.#options.nodeName));
    return (this.#answer = { objects, attached, view, policy });
  }

  async #apply(
    { view, policy }: Answer,
    adopted: readonly AdoptedPod[],
  ): Promise<{ readonly changed: boolean; readonly closed: boolean }> {
    const now = Date.now();
    const judge = (key: string | undefined) => policy.judgements.get(key ?? '') ?? QUARANTINE;
    this.#pods = [
      ...this.#settledRecords().map((record) => ({
        hooks: record,
        // A pod that the source does not show, or shows with another identity, is refused everything until it does.
        // An ADD that writes into another backend is in nobody's way.
        judgements:
          this.#handover.isOurs(record) && this.#attachments.isUnderWay(record, now)
            ? undefined
            : judge(view.podOf.get(idOf(record))),
      })),
      ...adopted.map(({ pod, hooks }) => ({ hooks, judgements: judge(objectKey(pod)) })),
    ];
    return this.#kernel.apply({
      policy,
      pods: this.#pods,
      leaving: this.#attachments.leaving().union(this.#unsettled),
      claimMark: () => generationMark(this.#claimGeneration(), this.#markMask),
    });
  }

  #settledRecords(): readonly RecordedAttachment[] {
    return this.#attachments.all().filter((record) => !this.#unsettled.has(idOf(record)));
  }

  /** What must be closed is closed even where the counter cannot be moved: the clock is ahead of it, and gives no value twice either. */
  #claimGeneration(): number {
    try {
      return claimGeneration(this.#options.runtimeDir);
    } catch (error) {
      this.#options.log.error({ err: error }, 'Cannot move the generation counter: is the runtime directory writable?');
      return Date.now();
    }
  }

  /** What a gone pod's peers still send counts as replies; it must not reach the next holder of the address. */
  async #endFlowsOfEarlierHolders(appeared: readonly RecordedAttachment[]): Promise<void> {
    for (const { markMask } of appeared) this.#markMask = markMask;
    const underWay = appeared.filter(({ judgements }) => judgements === undefined);
    try {
      await Promise.all(
        underWay.flatMap(({ addresses }) => addresses).map((address) => deleteFlowsFrom(address, familyOf(address))),
      );
    } catch (error) {
      this.#options.log.warn({ err: error }, 'Cannot end flows of an address\'s earlier holder: install "conntrack"');
    }
  }

  #acknowledgeAll(): void {
    const { runtimeDir } = this.#options;
    for (const record of this.#settledRecords())
      if (!isAcknowledged(runtimeDir, record)) acknowledge(runtimeDir, record);
  }

  /** Resolves when the flows that were refused so far have ended. */
  async flowsEnded(): Promise<void> {
    await this.#flows.idle();
  }

  async #endRefusedUdpFlows(): Promise<void> {
    const cluster = this.#answer?.view.cluster;
    if (cluster === undefined) return;
    const local = new Set(this.#attachments.all().flatMap(({ addresses }) => addresses));
    const { families } = this.#kernel;
    await endRefusedUdpFlows(cluster, { families, local, log: this.#options.log });
  }

  #tell({ started, drift }: { readonly started: number; readonly drift: boolean }): void {
    const milliseconds = Math.round((performance.now() - started) * 10) / 10;
    this.#lastSync = { at: new Date().toISOString(), milliseconds };
    if (drift) {
      this.#repairs += 1;
      this.#options.log.warn({ milliseconds }, 'Put right what others had changed of our rules or sets');
    } else {
      this.#options.log.info({ milliseconds, ...this.#kernel.size() }, 'Brought the kernel up to date');
    }
  }
}
