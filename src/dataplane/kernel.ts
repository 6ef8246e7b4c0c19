import type { IpFamily } from '../net/family.ts';
import type { FlowRecord } from '../rules/recordedFlows.ts';
import type { Mark } from '../rules/mark.ts';
import type { AttachedPod, PodHooks, PodJudgements } from '../rules/pod.ts';
import type { WantedPolicy } from '../rules/wanted.ts';
import type { FlowLogState } from './flowLog.ts';

export interface Wanted {
  readonly policy: WantedPolicy;
  readonly pods: readonly AttachedPod[];
  /** Attachments, by `idOf`, that a DEL may be taking out: what is theirs is not ours to touch, and there until a look tells otherwise. */
  readonly leaving: ReadonlySet<string>;
  /** Attachments that came, or went, during the last look: what is theirs is not ours to touch before it is known what that is. */
  readonly unsettled: readonly PodHooks[];
  readonly claimMark: () => Mark;
}

export interface Applied {
  /** Whether anything was written. */
  readonly changed: boolean;
  /** Whether that was more than to take away what nothing leads to. */
  readonly mended: boolean;
  /** Whether something may have been closed, so that live flows are judged again. */
  readonly closed: boolean;
}

/** What the kernel has noted down of flows that no rule allows. */
export interface Records {
  readonly flows: readonly FlowRecord[];
  /** Why nothing is noted down; `undefined` where it is. */
  readonly problem: string | undefined;
}

/** What is wanted of a kernel for good. */
export interface KernelOptions {
  /** The NFLOG group to which it logs what no rule allows; to none if missing. */
  readonly nflogGroup?: number | undefined;
}

/**
 * What this node's kernel holds of ours, and the way from there to what is wanted. It is remembered, so that a change writes what differs and
 * reads nothing; `read` looks again. After a failure nothing is remembered: read before the next `apply`.
 */
export interface Kernel {
  /** The families that this node judges. */
  readonly families: readonly IpFamily[];

  /** Returns how many sets and chains of ours the kernel holds, as far as known. */
  size(): { readonly sets: number; readonly chains: number };

  /**
   * Reads what is ours; `thorough`: all of it. `leaving` are the attachments, by `idOf`, that a DEL may have taken out by now. Returns whether there
   * was any need to. Throws a CommandError.
   */
  read(options: { readonly thorough: boolean; readonly leaving: ReadonlySet<string> }): Promise<boolean>;

  /** Takes over what an ADD has written since the last look: the pod's chains and hooks. */
  noteHooked(hooks: PodHooks, judgements: PodJudgements): void;

  /** Brings the kernel to what is wanted; nothing is led to before it is whole. Throws a CommandError. */
  apply(wanted: Wanted): Promise<Applied>;

  /** Reads what was noted down, which nothing else here makes anything of. Throws a CommandError. */
  records(): Promise<Records>;

  /** Returns how the log stands that was asked for; `undefined` where none was. */
  flowLog(): FlowLogState | undefined;

  /** Calls back when others have changed what is ours, as far as that can be heard of. Returns what ends it. */
  listen(onChange: () => void): () => void;
}
