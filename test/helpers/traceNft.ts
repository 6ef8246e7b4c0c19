import type { Hook, PacketView } from './nftFields.ts';
import { foundVerdict, hasAll, matches } from './nftMatches.ts';
import type { BaseHook, NftChain, NftRule, NftTable, NftTables } from './nftModel.ts';
import { ruleText } from './nftRulePrint.ts';
import type { SetMarkStatement, TableFamily, Verdict } from './nftRule.ts';
import type { NftRuleset } from './nftRuleset.ts';
import { hasFlow, type Packet } from '../../src/trace/packet.ts';
import type { Trace } from './tracePacket.ts';

/**
 * Follows one packet through the base chains of all tables and returns what becomes of it. What came in by a port of a bridge passes the bridge tables
 * too; frames that are not plainly of IP pass nothing else (a bridge hands them to no other tables, as it is configured where nothing was configured).
 * Throws an `Error` where the outcome hangs on what packets do not tell.
 */
export function traceNft(ruleset: NftRuleset, packet: Packet): Trace {
  const matchedRules: string[] = [];
  let current = packet;
  for (const { family, hook } of stagesOf(packet)) {
    for (const { table, chain, base } of baseChains(ruleset.tables, { family, hook })) {
      const view = { packet: current, family, hook, priority: base.priority };
      const end = new Walk(table, matchedRules).run(chain, view);
      current = end.packet;
      if (end.verdict !== 'accept') return { verdict: end.verdict, mark: current.connmark, matchedRules };
    }
  }
  return { verdict: 'accept', mark: current.connmark, matchedRules };
}

interface Stage {
  readonly family: TableFamily;
  readonly hook: Hook;
}

/** Returns the hooks that a packet passes. Bridges show theirs to the inet tables at a later priority than any of ours. */
function stagesOf(packet: Packet): readonly Stage[] {
  const { hook, inInterface, physdevIn, bridged, etherType } = packet;
  if (etherType !== undefined && physdevIn === undefined)
    throw new Error('Cannot trace: only a bridge passes on frames that are not plainly of IP');
  const own: Stage = { family: 'inet', hook: hook === 'FORWARD' ? 'forward' : 'output' };
  const stages: readonly (Stage | false)[] = [
    physdevIn !== undefined && { family: 'bridge', hook: 'prerouting' },
    inInterface !== undefined && etherType === undefined && { family: 'inet', hook: 'prerouting' },
    physdevIn !== undefined && bridged && { family: 'bridge', hook: 'forward' },
    etherType === undefined && own,
  ];
  return stages.filter((stage) => stage !== false);
}

interface HookedChain {
  readonly table: NftTable;
  readonly chain: NftChain;
  readonly base: BaseHook;
}

function baseChains(tables: NftTables, { family, hook }: Stage): readonly HookedChain[] {
  const sorted = allBaseChains(tables)
    .filter(({ table, base }) => table.family === family && base.hook === hook)
    .toSorted((a, b) => a.base.priority - b.base.priority);
  if (new Set(sorted.map(({ base }) => base.priority)).size < sorted.length)
    throw new Error(`Cannot trace: two chains of ${family} ${hook} have the same priority`);
  return sorted;
}

// Sweeps ask of one ruleset many thousand times.
const known = new WeakMap<NftTables, readonly HookedChain[]>();

function allBaseChains(tables: NftTables): readonly HookedChain[] {
  const found =
    known.get(tables) ??
    [...tables.values()].flatMap((table) =>
      [...table.chains.values()].flatMap((chain) =>
        chain.base === undefined ? [] : [{ table, chain, base: chain.base }],
      ),
    );
  known.set(tables, found);
  return found;
}

interface End {
  readonly verdict: Trace['verdict'];
  /** The packet as the chain leaves it: with the mark of its flow. */
  readonly packet: Packet;
}

interface Position {
  readonly chain: NftChain;
  readonly index: number;
}

/** What a rule does with a packet that it matches to its end; `undefined` goes on with the next rule. */
type Outcome = Verdict | { readonly kind: 'reject' } | undefined;

interface RuleEnd {
  readonly outcome: Outcome;
  readonly view: PacketView;
}

const END_OF_CHAIN: Verdict = { kind: 'return' };

/** One packet's way through one base chain. */
class Walk {
  readonly #table: NftTable;
  readonly #matchedRules: string[];

  constructor(table: NftTable, matchedRules: string[]) {
    this.#table = table;
    this.#matchedRules = matchedRules;
  }

  run(base: NftChain, start: PacketView): End {
    const callers: Position[] = [];
    let view = start;
    let position: Position | undefined = { chain: base, index: 0 };
    while (position !== undefined) {
      const { chain, index }: Position = position;
      const rule: NftRule | undefined = chain.rules[index];
      const result: RuleEnd =
        rule === undefined ? { outcome: END_OF_CHAIN, view } : this.#runRule(chain, { rule, view });
      view = result.view;
      position = { chain, index: index + 1 };
      const { outcome }: RuleEnd = result;
      switch (outcome?.kind) {
        case 'accept':
        case 'drop':
        case 'reject':
          return { verdict: outcome.kind, packet: view.packet };
        case 'jump':
          callers.push(position);
          position = { chain: this.#chain(outcome.chain), index: 0 };
          break;
        // A goto leaves nothing behind: whoever returns from there goes back to the last jump.
        case 'goto':
          position = { chain: this.#chain(outcome.chain), index: 0 };
          break;
        case 'return':
          position = callers.pop();
          break;
        case 'continue':
        case undefined:
          break;
      }
    }
    // Nobody is left to return to: the policy of the hook's own chain decides.
    return { verdict: base.base?.policy ?? 'accept', packet: view.packet };
  }

  #runRule(chain: NftChain, { rule, view: start }: { readonly rule: NftRule; readonly view: PacketView }): RuleEnd {
    let view = start;
    let outcome: Outcome;
    for (const statement of rule.statements) {
      switch (statement.kind) {
        case 'match':
          if (!matches(this.#table, statement, view)) return { outcome: undefined, view };
          break;
        case 'vmap': {
          const verdict = foundVerdict(this.#table, statement, view);
          if (verdict === undefined) return { outcome: undefined, view };
          outcome = verdict;
          break;
        }
        case 'setMark': {
          const marked = setMark(statement, view);
          if (marked === undefined) return { outcome: undefined, view };
          view = marked;
          break;
        }
        case 'record':
          // Without a field that it is to hold, the rule ends there.
          if (!hasAll(statement.dependencies, view) || statement.fields.some((field) => field.read(view) === undefined))
            return { outcome: undefined, view };
          break;
        case 'reject':
          if (!hasAll(statement.dependencies, view)) return { outcome: undefined, view };
          outcome = { kind: 'reject' };
          break;
        case 'verdict':
          outcome = statement.verdict;
      }
      // What a map says ends the rule too.
      if (outcome !== undefined && outcome.kind !== 'continue') break;
    }
    this.#matchedRules.push(`${this.#table.family} ${chain.name}: ${ruleText(rule)}`);
    return { outcome, view };
  }

  #chain(name: string): NftChain {
    const chain = this.#table.chains.get(name);
    if (chain === undefined) throw new Error(`Cannot trace: chain "${name}" is not there`);
    return chain;
  }
}

/** Returns the packet with its flow's new mark, or `undefined` where the old one is needed and there is none. */
function setMark({ mask, value }: SetMarkStatement, view: PacketView): PacketView | undefined {
  const { packet } = view;
  if (view.family === 'bridge' || view.hook === 'prerouting')
    throw new Error(`Cannot trace: "ct mark set" in ${view.family} ${view.hook}`);
  if (!hasFlow(packet)) return mask === 0n ? view : undefined;
  const connmark = Number((BigInt(packet.connmark) & mask) ^ value);
  return { ...view, packet: { ...packet, connmark } };
}
