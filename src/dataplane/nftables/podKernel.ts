import { bringUpCommands } from '../../rules/nftables/bringUp.ts';
import { raiseCommands } from '../../rules/nftables/generation.ts';
import {
  addPodCommands,
  deletePodCommands,
  deleteRemainsCommands,
  freeAddressesCommands,
} from '../../rules/nftables/podCommands.ts';
import { missingOfPod } from '../../rules/nftables/missing.ts';
import { arePresent, presenceCommands } from '../../rules/nftables/presence.ts';
import type { NftCommands } from '../../rules/nftables/table.ts';
import type { AttachmentId, PodHooks, PodJudgements } from '../../rules/pod.ts';
import { CommandError } from '../commandError.ts';
import { pause } from '../pause.ts';
import type { Hooking, PodKernel } from '../podKernel.ts';
import { ToolMissingError } from '../toolMissing.ts';
import { findTool, type Environment } from '../tools.ts';
import { isOutdated } from './errors.ts';
import { commitNft, readTables, tryNft, type NftProgram } from './nftSync.ts';

const TRY_AGAIN_MS = 3;
const TAKE_OUT_LOOKS = 5;

/**
 * How much of what stands beside the pod an attempt takes for granted:
 * - `trust`: everything; a live agent sees to it.
 * - `bringUp`: nothing; all of it is written once more, in the same transaction.
 * - `look`: nothing either, and what is left of earlier holders of the addresses, or of the pod itself, goes.
 */
type Way = 'trust' | 'bringUp' | 'look';

/** One pod in our tables, both families in one transaction. */
export class NftPodKernel implements PodKernel {
  readonly #env: Environment;
  #isHooked = false;

  constructor({ env }: { readonly env: Environment }) {
    this.#env = env;
  }

  require(): void {
    this.#program('write rules');
  }

  hookIn(hooking: Hooking): PodJudgements {
    const program = this.#program('write rules');
    let failure: CommandError | undefined;
    for (const [attempt, way] of waysOf(hooking).entries()) {
      const judgements = hooking.judge(attempt);
      try {
        commitNft(program, commandsFor(way, { program, hooking, judgements }));
        this.#isHooked = true;
        return judgements;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        // A program that was killed may have done its work before.
        if (error.exitCode === undefined) this.#isHooked = true;
        if (!isOutdated(error)) throw error;
        failure = error;
      }
      pause(TRY_AGAIN_MS);
    }
    throw failure ?? new RangeError('There is no way to hook a pod in');
  }

  /** A pod that nothing is known of, on a node without nft, is given up: nothing is there to be forgotten. */
  takeOut(id: AttachmentId, { hooks }: { readonly hooks: PodHooks | undefined }): void {
    if (hooks === undefined && findTool('nft', this.#env) === undefined) return;
    const program = this.#program("take the pod's rules out");
    if (hooks !== undefined && succeeds(program, deletePodCommands(hooks))) return;
    for (let look = 1; look <= TAKE_OUT_LOOKS; look += 1) {
      if (succeeds(program, deleteRemainsCommands(hooks ?? id, readTables(program)))) return;
      pause(TRY_AGAIN_MS);
    }
    commitNft(program, deleteRemainsCommands(hooks ?? id, readTables(program)));
  }

  undo({ hooks, again }: Pick<Hooking, 'hooks' | 'again'>): void {
    if (again || this.#isHooked) this.takeOut(hooks, { hooks });
  }

  missing(hooks: PodHooks, { agent }: { readonly agent: boolean }): readonly string[] {
    const program = this.#program('read rules');
    const own = presenceCommands(hooks);
    if (agent && arePresent(own, tryNft(program, own))) return [];
    try {
      return missingOfPod(hooks, readTables(program));
    } catch (error) {
      if (error instanceof CommandError) return [`the rules can be read (${error.message})`];
      throw error;
    }
  }

  #program(what: string): NftProgram {
    const file = findTool('nft', this.#env);
    if (file === undefined) throw new ToolMissingError(what, { program: 'nft', install: 'nftables', env: this.#env });
    return { file, env: this.#env };
  }
}

function waysOf({ agent, again }: Pick<Hooking, 'agent' | 'again'>): readonly Way[] {
  if (again) return ['look', 'look', 'look', 'look', 'look', 'look'];
  return agent
    ? ['trust', 'trust', 'look', 'look', 'look', 'look']
    : ['bringUp', 'look', 'look', 'look', 'look', 'look'];
}

interface Attempt {
  readonly program: NftProgram;
  readonly hooking: Hooking;
  readonly judgements: PodJudgements;
}

function commandsFor(way: Way, { program, hooking, judgements }: Attempt): NftCommands {
  const { hooks, claimMark } = hooking;
  const pod = addPodCommands(hooks, judgements);
  if (way === 'trust') return [...pod, ...raiseCommands(claimMark())];
  const standing = bringUpCommands(claimMark());
  if (way === 'bringUp') return [...standing, ...pod];
  const tables = readTables(program);
  return [...deleteRemainsCommands(hooks, tables), ...freeAddressesCommands(hooks, tables), ...standing, ...pod];
}

function succeeds(program: NftProgram, commands: NftCommands): boolean {
  try {
    commitNft(program, commands);
    return true;
  } catch (error) {
    if (error instanceof CommandError && isOutdated(error)) return false;
    throw error;
  }
}
