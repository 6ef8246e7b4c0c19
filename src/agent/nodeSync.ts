import { familyOf } from '../net/family.ts';
import { NO_OBJECTS, type Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../rules/mark.ts';
import { idOf, QUARANTINE, type AttachedPod, type PodHooks } from '../rules/pod.ts';
import type { Source } from '../source/source.ts';
import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import { deleteFlowsFrom } from '../dataplane/conntrack.ts';
import type { Applied, Kernel } from '../dataplane/kernel.ts';
import type { RecordedAttachment } from '../rendezvous/attachment.ts';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import type { DeniedFlow } from '../rendezvous/deniedFlow.ts';
import { claimGeneration, currentGeneration } from '../rendezvous/generation.ts';
import { AdoptedPods, isAdopted, type AdoptedPod } from './adoptedPods.ts';
import { Answers, type Answer } from './answers.ts';
import { Attachments, type AttachmentChanges } from './attachments.ts';
import { deniedFlows } from './deniedFlows.ts';
import { ExpectedPods } from './expectedPods.ts';
import { Handover, type HandoverOptions } from './handover.ts';
import type { AgentMetrics } from './metrics/agentMetrics.ts';
import { PassRunner } from './passRunner.ts';
import { isQuarantined, QuarantineTimes } from './quarantineTimes.ts';
import { RecordFiles, type DoubtfulRecords } from './recordFiles.ts';
import { endRefusedUdpFlows } from './udpFlows.ts';

export interface NodeSyncOptions extends HandoverOptions {
  readonly nodeName: string;
  readonly runtimeDir: string;
  readonly source: Source;
  readonly kernel: Kernel;
  /** Where what is done is counted, if it is. */
  readonly metrics?: AgentMetrics;
}

/** What makes a pass necessary, beside changes of the source's. */
export interface PassCause {
  /** Which look at the kernel to take first. */
  readonly look: 'none' | 'quick' | 'thorough';
  readonly records: DoubtfulRecords;
}

/** What a pass did. */
export interface PassEnd {
  /** How long its look at the kernel took, in milliseconds. */
  readonly looking: number;
  /** Whether anything was written. */
  readonly changed: boolean;
}

/** Where much is closed, UDP flows are listed no more often than this allows. */
const FLOWS_REST_MS = 100;

const NOTHING_DONE: PassEnd = { looking: 0, changed: false };

/** What a node's rules are made from. */
export interface KnownNode {
  /** It changes in place. */
  readonly cluster: Cluster;
  readonly pods: readonly PodHooks[];
}

/** One pass after the other: objects and attachments in, kernel and rendezvous files out. */
export class NodeSync {
  readonly #options: NodeSyncOptions;
  readonly #kernel: Kernel;
  readonly #files: RecordFiles;
  readonly #attachments = new Attachments();
  readonly #expected: ExpectedPods;
  readonly #adopted: AdoptedPods;
  readonly #handover: Handover;
  readonly #answers: Answers;
  /** What the kernel holds. */
  #appliedAnswer: Answer | undefined;
  /** Whether the last pass came to its end, and nothing was left alone. */
  #isDone = false;
  #markMask = DEFAULT_MARK_MASK;
  #pods: readonly AttachedPod[] = [];
  /** The attachments, by `idOf`, that came or went during the look at the kernel. */
  #unsettled: ReadonlyMap<string, RecordedAttachment> = new Map();
  #lastSync: AgentStatus['lastSync'];
  #repairs = 0;
  /** Whether the records were read before: what they tell the first time is no news. */
  #knowsRecords = false;
  readonly #quarantines = new QuarantineTimes();
  // Beside the passes: a node has many flows, and nothing may wait for their end but who asks for it.
  readonly #flows = new PassRunner(() => this.#endRefusedUdpFlows(), { restMs: FLOWS_REST_MS });

  constructor(options: NodeSyncOptions) {
    this.#options = options;
    this.#kernel = options.kernel;
    this.#files = new RecordFiles(options.runtimeDir);
    this.#expected = new ExpectedPods(options.runtimeDir);
    this.#adopted = new AdoptedPods(options.log);
    this.#handover = new Handover(options);
    this.#answers = new Answers(options);
  }

  /**
   * Brings everything up to date once, with a look at the kernel first if asked for. Where nothing but objects can have changed, and what did means
   * nothing to this node's pods, that is all. Throws when the kernel or the file system refuses; then the next pass must look.
   */
  async pass({ look, records }: PassCause): Promise<PassEnd> {
    const started = performance.now();
    const isQuiet = look === 'none' && records !== 'all' && records.size === 0;
    if (isQuiet && this.#isDone && this.#answers.now(this.#attachments) === this.#appliedAnswer) return NOTHING_DONE;
    this.#isDone = false;
    const doubtful = records === 'all' ? records : records.union(this.#unsettled);
    // Records before the kernel: what the records say is hooked then is in what the kernel shows.
    const changes = this.#attachments.update(this.#files.read(doubtful, this.#attachments.all()), Date.now());
    const { appeared, hooked, gone } = changes;
    this.#handover.note(changes);
    this.#count(changes);
    const freed = this.#endFlowsOfEarlierHolders(appeared);
    const written = hooked.filter((record) => this.#handover.isOurs(record));
    const leaving = this.#attachments.leaving();
    const lookedAt = performance.now();
    const hasLooked = look !== 'none' && (await this.#kernel.read({ thorough: look === 'thorough', leaving }));
    const looking = performance.now() - lookedAt;
    if (!hasLooked) for (const record of written) this.#kernel.noteHooked(record, record.judgements);
    // And after it: what ADD hooked in or DEL took out meanwhile is left alone until the next pass.
    this.#unsettled = hasLooked ? this.#attachments.unlike(this.#files.readAll()) : new Map();

    const before = this.#appliedAnswer;
    const answer = this.#answers.now(this.#attachments);
    this.#tellSource(answer);
    const adopted = await this.#adopted.update(answer.view.unrecorded, { look: look === 'thorough' });
    const applied = await this.#apply(answer, adopted);
    this.#appliedAnswer = answer;
    await freed;
    this.#expected.update(answer.view.cluster, answer.policy);
    this.#files.acknowledge(this.#settledRecords());
    this.#handover.finish(this.#attachments.all(), (record) => this.#attachments.isUnderWay(record, Date.now()));
    this.#isDone = this.#unsettled.size === 0;
    if (applied.closed) void this.#flows.run();
    const isNews = before !== answer || appeared.length + hooked.length + gone.size > 0;
    // What a DEL leaves behind is taken away by a later look.
    if (applied.changed) this.#tell({ started, drift: !isNews && applied.mended });
    return { looking, changed: applied.changed };
  }

  /** Tells whether a DEL may be under way: only a look tells what it has taken out by now. */
  isAnyLeaving(): boolean {
    return this.#attachments.leaving().size > 0;
  }

  /** Returns why the rules do not reach the packets of some pods, or `undefined`. ADD asks the same of the pods that it hooks in. */
  unfiltered(): string | undefined {
    const bridged = this.#pods.filter(({ hooks }) => hooks.bridged).flatMap(({ hooks }) => hooks.addresses);
    const problem = bridgeFilterProblem(bridged);
    return problem === undefined ? undefined : `Cannot protect pods on a bridge: ${problem}`;
  }

  /** Returns the objects and the hooked pods that the kernel was last brought in step with; `undefined` before the first time. */
  known(): KnownNode | undefined {
    const cluster = this.#appliedAnswer?.view.cluster;
    return cluster && { cluster, pods: this.#pods.map(({ hooks }) => hooks) };
  }

  /** Returns this part of the status. */
  report(): Pick<AgentStatus, 'generation' | 'pods' | 'kernel' | 'lastSync' | 'repairs'> {
    const isolated = this.#pods.filter(
      ({ judgements }) => judgements?.ingress.kind === 'profile' || judgements?.egress.kind === 'profile',
    );
    return {
      generation: currentGeneration(this.#options.runtimeDir) ?? 0,
      pods: {
        attached: this.#pods.length,
        adopted: this.#pods.filter(({ hooks }) => isAdopted(hooks)).length,
        isolated: isolated.length,
        quarantined: this.#pods.filter(isQuarantined).map(({ hooks }) => objectKey(hooks)),
        bridged: this.#pods.filter(({ hooks }) => hooks.bridged).length,
        quarantinedSince: this.#quarantines.byPod(),
      },
      kernel: this.#kernel.size(),
      lastSync: this.#lastSync,
      repairs: this.#repairs,
    };
  }

  #count({ appeared, gone }: AttachmentChanges): void {
    if (this.#knowsRecords) this.#options.metrics?.pods.attached({ added: appeared.length, removed: gone.size });
    this.#knowsRecords = true;
  }

  /** Returns what was refused lately, or would have been. Throws a CommandError. */
  async denied(): Promise<{ readonly flows: readonly DeniedFlow[]; readonly problem: string | undefined }> {
    const { flows, problem } = await this.#kernel.records();
    const addresses = flows.flatMap(({ source, destination }) => [source, destination]);
    return { flows: deniedFlows(flows, this.#answers.localPods?.around(addresses) ?? NO_OBJECTS), problem };
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

  async #apply({ view, policy }: Answer, adopted: readonly AdoptedPod[]): Promise<Applied> {
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
    this.#quarantines.update(this.#pods, now);
    return this.#kernel.apply({
      policy,
      pods: this.#pods,
      leaving: this.#attachments.leaving(),
      unsettled: [...this.#unsettled.values()],
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

  /** Resolves when the flows that were refused so far have ended. */
  async flowsEnded(): Promise<void> {
    await this.#flows.idle();
  }

  async #endRefusedUdpFlows(): Promise<void> {
    const { localPods } = this.#answers;
    if (localPods === undefined) return;
    const local = new Set(this.#attachments.all().flatMap(({ addresses }) => addresses));
    const { families } = this.#kernel;
    await endRefusedUdpFlows(localPods, { families, local, log: this.#options.log });
  }

  #tell({ started, drift }: { readonly started: number; readonly drift: boolean }): void {
    const milliseconds = Math.round((performance.now() - started) * 10) / 10;
    this.#lastSync = { at: new Date().toISOString(), milliseconds };
    this.#options.metrics?.kernel.synced(milliseconds / 1000);
    if (drift) {
      this.#repairs += 1;
      this.#options.metrics?.kernel.repaired();
      this.#options.log.warn({ milliseconds }, 'Put right what others had changed of our rules or sets');
    } else {
      this.#options.log.info({ milliseconds, ...this.#kernel.size() }, 'Brought the kernel up to date');
    }
  }
}
