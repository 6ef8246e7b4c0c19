import { TriedOut } from './triedOut.ts';

/** The NFLOG group that rules log to, and why they do not, if so. */
export interface FlowLogState {
  readonly group: number;
  readonly problem: string | undefined;
}

/** The log of what no rule allows, where one is wanted. Rules are as strict without it. */
export class FlowLog {
  readonly #group: number | undefined;
  readonly #tried = new TriedOut();

  /** `group`: `undefined` where no log is wanted. */
  constructor(group: number | undefined) {
    this.#group = group;
  }

  get state(): FlowLogState | undefined {
    return this.#group === undefined ? undefined : { group: this.#group, problem: this.#tried.problem };
  }

  /** What a kernel did not take, it is asked for once more. */
  tryAgain(): void {
    this.#tried.problem = undefined;
  }

  /** Writes rules, that log to the group if the kernel takes it (one without nfnetlink_log does not). Throws what `write` throws without. */
  async tryOut<T>(
    write: (group: number | undefined, options: { readonly isTaken: boolean }) => Promise<T>,
  ): Promise<T> {
    const isWanted = this.#group !== undefined && this.#tried.problem === undefined;
    return this.#tried.write(isWanted, async (isIn) =>
      write(isIn ? this.#group : undefined, { isTaken: isIn && this.#tried.isTaken }),
    );
  }
}
