import type { IpFamily } from '../../net/family.ts';
import { RECORD_PLACES } from '../../rules/flowRecords.ts';
import { recordsOf, type FlowRecord, type RecordMember } from '../../rules/recordedFlows.ts';
import { recordSetLines } from '../../rules/iptables/endChains.ts';
import { parseRecordMembers } from '../../rules/iptables/recordMembers.ts';
import { recordSetNames } from '../../rules/names.ts';
import { CommandError } from '../commandError.ts';
import { countIpsetMembers, restoreIpsets, saveIpset } from './ipset.ts';

/** The sets in which packets note down the flows that no rule allows. Rules are as strict without them, and tell nothing. */
export class RecordSets {
  readonly #families: readonly IpFamily[];
  /** Whether all are there; `undefined` until somebody has looked. */
  #areThere: boolean | undefined;
  /** Whether the kernel has taken rules that name them. */
  #areTaken = false;
  #problem: string | undefined;

  constructor(families: readonly IpFamily[]) {
    this.#families = families;
  }

  /** Why nothing is noted down, or `undefined`. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Takes over a look at the sets: `names` has those that there are. What could not be made may be made after a thorough one. */
  found(names: { has(name: string): boolean }, { thorough }: { readonly thorough: boolean }): void {
    if (thorough) this.#problem = undefined;
    const wanted = this.#places().flatMap((place) => Object.values(recordSetNames(place)));
    this.#areThere = wanted.every((name) => names.has(name));
  }

  /** Makes what is missing, and tells whether rules may name the sets. A kernel that cannot have them is seldom asked. */
  async make(): Promise<boolean> {
    if (this.#problem !== undefined) return false;
    try {
      if (this.#areThere === undefined) this.found((await countIpsetMembers()).records, { thorough: false });
      if (this.#areThere !== true) await restoreIpsets(this.#places().flatMap(recordSetLines));
      this.#areThere = true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#problem = error.message;
    }
    return this.#problem === undefined;
  }

  /**
   * Writes rules, that name the sets if they may. A kernel that lacks one of their matches refuses all that is written with them: until it has once taken
   * them, what fails is written without. Throws what `write` throws then.
   */
  async tryOut<T>(write: (isRecording: boolean) => Promise<T>): Promise<T> {
    const isRecording = await this.make();
    try {
      const written = await write(isRecording);
      this.#areTaken ||= isRecording;
      return written;
    } catch (error) {
      if (!isRecording || this.#areTaken || !(error instanceof CommandError)) throw error;
      const written = await write(false);
      this.#problem = error.message;
      return written;
    }
  }

  /** Returns what is noted down. Throws a CommandError. */
  async read(): Promise<readonly FlowRecord[]> {
    const { records } = await countIpsetMembers();
    const membersOf = async (name: string): Promise<readonly RecordMember[]> =>
      (records.get(name) ?? 0) === 0 ? [] : parseRecordMembers(await saveIpset(name));
    const found: FlowRecord[] = [];
    for (const place of this.#places()) {
      const names = recordSetNames(place);
      const members = { flows: await membersOf(names.flows), last: await membersOf(names.last) };
      found.push(...recordsOf(place, members, Date.now()));
    }
    return found;
  }

  #places() {
    return RECORD_PLACES.filter(({ family }) => this.#families.includes(family));
  }
}
