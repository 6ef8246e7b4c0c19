import type { IpFamily } from '../../src/net/family.ts';
import { parseIpsetDump } from '../../src/trace/iptables/ipsetDump.ts';
import { runRule } from '../../src/trace/iptables/ruleReader.ts';
import type { Packet } from '../../src/trace/packet.ts';
import { walk } from '../../src/trace/walk.ts';
import { parseRulesDump, type TracedChain } from './rulesDump.ts';

/** One family's filter table as iptables writes or reads it, and the sets that its rules name as ipset does. */
export interface RulesetText {
  readonly rules: string;
  readonly sets: string;
}

export interface Trace {
  readonly verdict: 'accept' | 'reject' | 'drop';
  /** The flow's conntrack mark once the packet is through. */
  readonly mark: number;
  /** The lines that matched, in the order in which the packet met them. */
  readonly matchedRules: readonly string[];
}

/**
 * Follows one packet through rendered text and returns what becomes of it.
 * Throws an `Error` for text that the kernel would refuse and for every word in it that is not understood, be it on the packet's way or not.
 */
export function tracePacket(text: RulesetText, packet: Packet): Trace {
  const chains = chainsOf(text, packet.family);
  const hook = chains.get(packet.hook);
  if (hook === undefined) throw new Error(`Cannot trace: chain "${packet.hook}" is not declared`);
  const table = { rulesOf: (name: string) => chains.get(name)?.rules, run: runRule, textOf: textOfRule };
  const { end, steps, packet: left, reason } = walk(table, { start: packet.hook, packet });
  if (end === 'unknown') throw new Error(`Cannot trace: ${reason}`);
  // Where nobody is left to return to, the policy of the hook's own chain decides.
  const verdict = end === 'end' ? (hook.policy ?? 'accept') : end;
  return { verdict, mark: left.connmark, matchedRules: steps.map(({ rule }) => rule) };
}

function textOfRule({ text }: { readonly text: string }): string {
  return text;
}

// Sweeps ask of one text many thousand times.
const parsed = new WeakMap<RulesetText, Map<IpFamily, ReadonlyMap<string, TracedChain>>>();

function chainsOf(text: RulesetText, family: IpFamily): ReadonlyMap<string, TracedChain> {
  const ofText = parsed.get(text) ?? new Map<IpFamily, ReadonlyMap<string, TracedChain>>();
  parsed.set(text, ofText);
  const chains = ofText.get(family) ?? parseRulesDump(text.rules, { family, sets: parseIpsetDump(text.sets) });
  ofText.set(family, chains);
  return chains;
}
