import type { IpFamily } from '../../net/family.ts';
import type { Packet } from '../packet.ts';
import { walk, type Way } from '../walk.ts';
import { parseIpsetDump, type IpSet } from './ipsetDump.ts';
import { readRule, runRule } from './ruleReader.ts';

/** One family's filter table, of which only what a packet meets need be there. */
export interface FilterTable {
  readonly family: IpFamily;
  /** Returns the rules of a chain as `iptables -S` prints them behind `-A CHAIN`, `undefined` where there is no such chain. */
  rulesOf(chain: string): readonly string[] | undefined;
  /** Returns what `ipset save` prints of a set, `undefined` where there is no such set. */
  setText(name: string): string | undefined;
}

/** Follows a packet from FORWARD on. */
export function followIptables(table: FilterTable, packet: Packet): Way {
  const sets = new SetsByName(table);
  const chains = {
    rulesOf: (chain: string) => table.rulesOf(chain),
    run: (rule: string, current: Packet) => runRule(readRule(rule, { family: table.family, sets }), current),
    textOf: (rule: string) => rule,
  };
  return walk(chains, { start: 'FORWARD', packet });
}

/** Sets that are read when a rule asks for them. */
class SetsByName {
  readonly #table: FilterTable;
  readonly #known = new Map<string, IpSet | undefined>();

  constructor(table: FilterTable) {
    this.#table = table;
  }

  get(name: string): IpSet | undefined {
    if (!this.#known.has(name)) {
      const text = this.#table.setText(name);
      this.#known.set(name, text === undefined ? undefined : parseIpsetDump(text).get(name));
    }
    return this.#known.get(name);
  }
}
