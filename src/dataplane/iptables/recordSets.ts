import type { IpFamily } from '../../net/family.ts';
import { RECORD_PLACES } from '../../rules/flowRecords.ts';
import { recordsOf, type FlowRecord, type RecordMember } from '../../rules/recordedFlows.ts';
import { recordSetLines } from '../../rules/iptables/endChains.ts';
import { parseRecordMembers } from '../../rules/iptables/recordMembers.ts';
import { recordSetNames } from '../../rules/names.ts';
import { CommandError } from '../commandError.ts';
import { TriedOut } from '../triedOut.ts';
import { countIpsetMembers, restoreIpsets, saveIpset } from './ipset.ts';

/** The sets in which packets note down the flows that no rule allows. Rules are as strict without them, and tell nothing. */
export class RecordSets {
  readonly #families: readonly IpFamily[];
  /** Whether all are there; `undefined` until somebody has looked. */
  #areThere: boolean | undefined;
  readonly #tried = new TriedOut();

  constructor(families: readonly IpFamily[]) {
    this.#families = families;
  }

  /** Why nothing is noted down, or `undefined`. */
  get problem(): string | undefined {
    return this.#tried.problem;
  }

  /** Takes over a look at the sets: `names` has those that there are. What could not be made may be made after a thorough one. */
  found(names: { has(name: string): boolean }, { thorough }: { readonly thorough: boolean }): void {
    if (thorough) this.#tried.problem = undefined;
    const wanted = this.#places().flatMap((place) => Object.values(recordSetNames(place)));
    this.#areThere = wanted.every((name) => names.has(name));
  }

  /** Makes what is missing, and tells whether rules may name the sets. A kernel that cannot have them is seldom asked. */
  async make(): Promise<boolean> {
    if (this.#tried.problem !== undefined) return false;
    try {
      if (this.#areThere === undefined) this.found((await countIpsetMembers()).records, { thorough: false });
      if (this.#areThere !== true) await restoreIpsets(this.#places().flatMap(recordSetLines));
      this.#areThere = true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#tried.problem = error.message;
    }
    return this.#tried.problem === undefined;
  }

  /** Writes rules, that name the sets if they may and the kernel has the matches for it. Throws what `write` throws without. */
  async tryOut<T>(write: (isRecording: boolean) => Promise<T>): Promise<T> {
    return this.#tried.write(await this.make(), write);
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
