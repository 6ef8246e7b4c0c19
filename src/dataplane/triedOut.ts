import { CommandError } from './commandError.ts';

/** Something in rules that a kernel may not have, and that they are as strict without. */
export class TriedOut {
  /** Why rules are written without it, or `undefined`. */
  problem: string | undefined;
  #isTaken = false;

  /** Whether the kernel has once taken rules with it. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /**
   * Writes rules, with it if that is wanted. A kernel that lacks it refuses all that is written with it: until it has once taken that, what fails is
   * written without. Throws what `write` throws then.
   */
  async write<T>(isWanted: boolean, write: (isIn: boolean) => Promise<T>): Promise<T> {
    try {
      const written = await write(isWanted);
      this.#isTaken ||= isWanted;
      return written;
    } catch (error) {
      if (!isWanted || this.#isTaken || !(error instanceof CommandError)) throw error;
      const written = await write(false);
      this.problem = error.message;
      return written;
    }
  }
}
