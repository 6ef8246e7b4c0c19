/** `unknown`: it could not be looked at, most often because only root may. */
export type Level = 'ok' | 'warning' | 'problem' | 'unknown';

/** What a look at one thing has come to. */
export interface Finding {
  /** What was looked at, e.g. `conflist`. */
  readonly check: string;
  readonly level: Level;
  /** One line. */
  readonly what: string;
  /** One line; `undefined` where there is nothing to mend. */
  readonly mend: string | undefined;
}

/** Makes the findings of one check. */
export class Findings {
  readonly #check: string;

  constructor(check: string) {
    this.#check = check;
  }

  ok(what: string): Finding {
    return { check: this.#check, level: 'ok', what, mend: undefined };
  }

  warning(what: string, mend: string): Finding {
    return { check: this.#check, level: 'warning', what, mend };
  }

  problem(what: string, mend: string): Finding {
    return { check: this.#check, level: 'problem', what, mend };
  }

  unknown(what: string, mend: string): Finding {
    return { check: this.#check, level: 'unknown', what, mend };
  }
}

/** What to do where something could not be looked at. */
export const AS_ROOT = 'run this as root, in the network namespace of the node';
