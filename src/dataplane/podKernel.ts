import type { Mark } from '../rules/mark.ts';
import type { AttachmentId, PodHooks, PodJudgements } from '../rules/pod.ts';

/** How a pod is to be hooked in. */
export interface Hooking {
  readonly hooks: PodHooks;
  /** Whether a live agent sees to all that is not the pod's own. */
  readonly agent: boolean;
  /** Whether the kernel may hold something of the same attachment already. */
  readonly again: boolean;
  /** Returns the judgements for an attempt, counted from 0. */
  readonly judge: (attempt: number) => PodJudgements;
  /** Returns a mark that no flow carries yet. */
  readonly claimMark: () => Mark;
}

/** Tells people what could not be done, where that is no failure. */
export type Warn = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/**
 * What the plugin does in the kernel, for one pod at a time. `settled` is a guess at whether the agent has moved the pod's hooks to where those of many
 * pods stay: a wrong one costs a try.
 */
export interface PodKernel {
  /** Throws a ToolMissingError unless everything is there that hooks in pods with these addresses. */
  require(addresses: readonly string[]): void;

  /** Hooks a pod in, all of it or nothing, and returns the judgements that it is under now. Throws a CommandError. */
  hookIn(hooking: Hooking): PodJudgements;

  /**
   * Takes out whatever the kernel holds of an attachment; nothing there is success. `hooks` are those that ADD put in, where they are known. Throws
   * a CommandError or a ToolMissingError.
   */
  takeOut(id: AttachmentId, options: { readonly hooks: PodHooks | undefined; readonly settled: boolean }): void;

  /** Takes out what `hookIn` has left when something failed later, or half-way. Throws a CommandError. */
  undo(hooking: Pick<Hooking, 'hooks' | 'again'>): void;

  /**
   * Returns, in words, what of a pod that was hooked in is not in place. `agent`: a live agent sees to all that is not the pod's own, so that it is
   * looked at only where something of the pod's own is missing. Writes nothing. Throws a ToolMissingError.
   */
  missing(hooks: PodHooks, options: { readonly agent: boolean; readonly settled: boolean }): readonly string[];
}
