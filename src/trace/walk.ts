import type { Packet } from './packet.ts';

/** What a rule does with a packet that it matches. */
export type Target =
  | { readonly kind: 'accept' | 'drop' | 'reject' | 'return' | 'continue' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** A rule that a packet has met, and that matched. */
export interface Step {
  readonly chain: string;
  readonly rule: string;
}

/** What a rule has made of a packet. */
export interface RuleEnd {
  readonly target: Target;
  /** With the mark that its flow has now. */
  readonly packet: Packet;
}

/** Chains that a packet can be sent through. */
export interface Chains<Rule> {
  /** Returns the rules of a chain, `undefined` where there is no such chain. */
  rulesOf(chain: string): readonly Rule[] | undefined;
  /** Returns what a rule makes of a packet, `undefined` if it does not match. Throws an `Error` for a rule that is not understood. */
  run(rule: Rule, packet: Packet): RuleEnd | undefined;
  /** Returns a rule for people. */
  textOf(rule: Rule): string;
}

/** The way of a packet through chains. */
export interface Way {
  /** `end`: of the first chain, where nobody has decided. `unknown`: the last rule cannot be followed past. */
  readonly end: 'accept' | 'drop' | 'reject' | 'end' | 'unknown';
  /** The rules that matched, in order; with `unknown` also the one that nobody understands. */
  readonly steps: readonly Step[];
  /** As it leaves. */
  readonly packet: Packet;
  /** Why the way is `unknown`. */
  readonly reason?: string;
}

/** The kernel refuses chains that go in a circle; what changes while it is read may look like one. */
const MOST_MATCHES = 10_000;

interface Position {
  readonly chain: string;
  readonly index: number;
}

/** Follows a packet from the beginning of a chain. What is not understood ends the way, and is never passed over. */
export function walk<Rule>(
  chains: Chains<Rule>,
  { start, packet }: { readonly start: string; readonly packet: Packet },
): Way {
  const steps: Step[] = [];
  const callers: Position[] = [];
  let current = packet;
  let position: Position | undefined = { chain: start, index: 0 };
  while (position !== undefined) {
    const found: Found = nextMatch(chains, { position, packet: current });
    if (found.kind === 'unknown')
      return { end: 'unknown', steps: [...steps, ...found.steps], packet: current, reason: found.reason };
    const { chain, index }: Position = found.position;
    if (found.step !== undefined) steps.push(found.step);
    if (steps.length > MOST_MATCHES) return { end: 'unknown', steps, packet: current, reason: 'it goes in a circle' };
    current = found.end.packet;
    const { target }: RuleEnd = found.end;
    position = { chain, index: index + 1 };
    switch (target.kind) {
      case 'accept':
      case 'drop':
      case 'reject':
        return { end: target.kind, steps, packet: current };
      case 'jump':
        callers.push(position);
        position = { chain: target.chain, index: 0 };
        break;
      // A goto leaves nothing behind: whoever returns from there goes back to the last jump.
      case 'goto':
        position = { chain: target.chain, index: 0 };
        break;
      case 'return':
        position = callers.pop();
        break;
      case 'continue':
        break;
    }
  }
  // Nobody is left to return to.
  return { end: 'end', steps, packet: current };
}

type Found =
  | { readonly kind: 'match'; readonly position: Position; readonly step: Step | undefined; readonly end: RuleEnd }
  | { readonly kind: 'unknown'; readonly steps: readonly Step[]; readonly reason: string };

/** Returns the first match from here on. The end of a chain returns like a rule that says so. */
function nextMatch<Rule>(
  chains: Chains<Rule>,
  { position: { chain, index: first }, packet }: { readonly position: Position; readonly packet: Packet },
): Found {
  const rules = chains.rulesOf(chain);
  if (rules === undefined) return { kind: 'unknown', steps: [], reason: `there is no chain "${chain}"` };
  for (let index = first; ; index += 1) {
    const rule = rules[index];
    if (rule === undefined)
      return {
        kind: 'match',
        position: { chain, index },
        step: undefined,
        end: { target: { kind: 'return' }, packet },
      };
    const step = { chain, rule: chains.textOf(rule) };
    try {
      const end = chains.run(rule, packet);
      if (end !== undefined) return { kind: 'match', position: { chain, index }, step, end };
    } catch (error) {
      return { kind: 'unknown', steps: [step], reason: error instanceof Error ? error.message : String(error) };
    }
  }
}
