import { execa } from 'execa';
import type { IpFamily } from '../net/family.ts';
import type { Rule } from '../rules/chain.ts';
import { JUMPS, STANDING_CHAINS } from '../rules/entryChains.ts';
import { jumpStates, parseChains, type KernelChains } from '../rules/kernelChains.ts';
import { restoreText, type RestoreLines } from '../rules/podRestore.ts';
import type { Backend } from './backend.ts';
import { CommandError } from './commandError.ts';
import { isBusy, isMissingChain, type IptablesFailure } from './iptablesErrors.ts';
import { restoreCommand } from './iptablesSync.ts';

// The legacy lock is waited for by the program, an outdated view of nft by us.
const ARGUMENTS = ['--noflush', '--wait', '5'];
const OPTIONS = { reject: false, stripFinalNewline: false, env: { LC_ALL: 'C' } } as const;
const BUSY_ATTEMPTS = 20;
const PAUSE_MS = 10;

const JUMP_CHAINS = ['FORWARD', 'OUTPUT'] as const satisfies readonly (keyof typeof JUMPS)[];

/** One family's filter table. Only our own chains are ever listed, by name; of others' chains FORWARD and OUTPUT are read for our jump. */
export class Iptables {
  readonly family: IpFamily;
  readonly #file: string;

  constructor(family: IpFamily, backend: Backend) {
    this.family = family;
    this.#file = restoreCommand(family, backend);
  }

  /** Commits one transaction: all of it or nothing. Throws a CommandError. */
  async restore(lines: RestoreLines): Promise<void> {
    const result = await this.#run(lines);
    if (result.failed) throw new CommandError({ file: this.#file, args: ARGUMENTS, result });
  }

  /** Returns the jumps, the standing chains and those of the chains named that exist. Throws a CommandError. */
  async read(names: Iterable<string>): Promise<KernelChains> {
    // Each once: a chain that is printed twice would read as one with twice its rules.
    const chains = await this.#readChains([...new Set([...JUMP_CHAINS, ...STANDING_CHAINS, ...names])]);
    for (const chain of JUMP_CHAINS) if (!chains.has(chain)) chains.set(chain, await this.#readJumpBlindly(chain));
    const jumps = jumpStates(chains);
    for (const chain of JUMP_CHAINS) chains.delete(chain);
    return { chains, jumps };
  }

  /**
   * One process prints any number of chains but stops at the first that is missing; the next one goes on behind it. A chain also looks missing while
   * another writer commits, so that each is looked for twice.
   */
  async #readChains(names: readonly string[]): Promise<Map<string, readonly Rule[]>> {
    const chains = new Map<string, readonly Rule[]>();
    let left = names;
    let doubted: string | undefined;
    for (;;) {
      const result = await this.#run(left.map((name) => `-S ${name}`));
      if (result.failed && !isMissingChain(failureOf(result)))
        throw new CommandError({ file: this.#file, args: ARGUMENTS, result });
      const printed = parseChains(result.stdout);
      for (const [name, rules] of printed) chains.set(name, rules);
      if (!result.failed) return chains;
      const missing = left[printed.size];
      left = left.slice(printed.size + (missing === doubted ? 1 : 0));
      if (left.length === 0) return chains;
      if (missing !== doubted) await pause();
      doubted = missing;
    }
  }

  /** A foreign rule that iptables-nft cannot print hides the whole chain, but it can still be asked for ours. */
  async #readJumpBlindly(chain: keyof typeof JUMPS): Promise<readonly Rule[]> {
    return (await this.#run([`-C ${chain} ${JUMPS[chain]}`])).failed ? [] : [JUMPS[chain]];
  }

  /** Runs one transaction, again while another writer is in the way. */
  async #run(lines: RestoreLines) {
    for (let attempt = 1; ; attempt += 1) {
      const result = await execa(this.#file, ARGUMENTS, { ...OPTIONS, input: restoreText(lines) });
      if (!result.failed || attempt === BUSY_ATTEMPTS || !isBusy(failureOf(result))) return result;
      await pause();
    }
  }
}

function failureOf({
  exitCode,
  stderr,
}: {
  readonly exitCode?: number | undefined;
  readonly stderr?: string;
}): IptablesFailure {
  return { exitCode, stderr: stderr ?? '' };
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
