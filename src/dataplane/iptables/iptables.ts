import type { IpFamily } from '../../net/family.ts';
import type { Rule } from '../../rules/iptables/chain.ts';
import { JUMPS, STANDING_CHAINS } from '../../rules/iptables/entryChains.ts';
import { jumpStates, parseChains, type KernelChains } from '../../rules/iptables/kernelChains.ts';
import { restoreText, type RestoreLines } from '../../rules/iptables/podRestore.ts';
import { CommandError } from '../commandError.ts';
import { runProgram, type ProgramEnd } from '../runProgram.ts';
import { isBusy, isMissingChain, isUnreadable } from './errors.ts';
import { restoreCommand, type IptablesVariant } from './sync.ts';
import { listedPlace, listingArguments, type JumpChain } from './nftListing.ts';

// The legacy lock is waited for by the program, an outdated view of nft by us.
const ARGUMENTS = ['--noflush', '--wait', '5'];
const BUSY_ATTEMPTS = 20;
const PAUSE_MS = 10;

const JUMP_CHAINS = ['FORWARD', 'OUTPUT'] as const satisfies readonly JumpChain[];
/** Stands for whatever rule of somebody else comes before ours. */
const OTHERS: Rule = '(not ours)';

/** One family's filter table. Only our own chains are ever listed, by name; of others' chains FORWARD and OUTPUT are read for our jump. */
export class Iptables {
  readonly family: IpFamily;
  readonly #backend: IptablesVariant;
  readonly #file: string;

  constructor(family: IpFamily, backend: IptablesVariant) {
    this.family = family;
    this.#backend = backend;
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
      if (result.failed && !isMissingChain(result))
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

  /**
   * A foreign rule that iptables-nft cannot read hides the whole chain. It can often still be asked for ours, and nft can always. Without nft, ours
   * is taken to stand where it must unless iptables says that it is missing.
   */
  async #readJumpBlindly(chain: JumpChain): Promise<readonly Rule[]> {
    const check = await this.#run([`-C ${chain} ${JUMPS[chain]}`]);
    if (check.failed && !isUnreadable(check)) return [];
    // What nft prints is not the legacy table.
    if (this.#backend === 'iptables-legacy') return [JUMPS[chain]];
    const listing = await runProgram('nft', { args: listingArguments(this.family, chain) });
    const place = listing.failed ? 'right' : listedPlace(listing.stdout, { chain, isFound: !check.failed });
    return { right: [JUMPS[chain]], wrong: [OTHERS, JUMPS[chain]], missing: [] }[place];
  }

  /** Runs one transaction, again while another writer is in the way. */
  async #run(lines: RestoreLines): Promise<ProgramEnd> {
    for (let attempt = 1; ; attempt += 1) {
      const result = await runProgram(this.#file, { args: ARGUMENTS, input: restoreText(lines) });
      if (!result.failed || attempt === BUSY_ATTEMPTS || !isBusy(result)) return result;
      await pause();
    }
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
