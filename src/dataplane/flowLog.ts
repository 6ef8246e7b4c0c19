import { CommandError } from './commandError.ts';

/** The NFLOG group that rules log to, and why they do not, if so. */
export interface FlowLogState {
  readonly group: number;
  readonly problem: string | undefined;
}

/** The log of what no rule allows, where one is wanted. Rules are as strict without it. */
export class FlowLog {
  readonly #group: number | undefined;
  /** Whether the kernel has once taken rules that log. */
  #isTaken = false;
  #problem: string | undefined;

  /** `group`: `undefined` where no log is wanted. */
  constructor(group: number | undefined) {
    this.#group = group;
  }

  get state(): FlowLogState | undefined {
    return this.#group === undefined ? undefined : { group: this.#group, problem: this.#problem };
  }

  /** What a kernel did not take, it is asked for once more. */
  tryAgain(): void {
    this.#problem = undefined;
  }

  /**
   * Writes rules, that log to the group if they may. A kernel without nfnetlink_log refuses all that is written with them: until it has once taken them,
   * what fails is written without. Throws what `write` throws then.
   */
  async tryOut<T>(
    write: (group: number | undefined, options: { readonly isTaken: boolean }) => Promise<T>,
  ): Promise<T> {
    const group = this.#problem === undefined ? this.#group : undefined;
    try {
      const written = await write(group, { isTaken: this.#isTaken });
      this.#isTaken ||= group !== undefined;
      return written;
    } catch (error) {
      if (group === undefined || this.#isTaken || !(error instanceof CommandError)) throw error;
      const written = await write(undefined, { isTaken: false });
      this.#problem = error.message;
      return written;
    }
  }
}
