import type { IpFamily } from '../../src/net/family.ts';
import { parseIpsetDump } from './ipsetDump.ts';
import { hasFlow, type Packet } from './packet.ts';
import { parseRulesDump, type Target, type TracedChain, type TracedRule } from './rulesDump.ts';

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
 * Throws an `Error` for text that the kernel would refuse and for every word in it that it does not know.
 */
export function tracePacket(text: RulesetText, packet: Packet): Trace {
  const chains = chainsOf(text, packet.family);
  const hook = chainNamed(chains, packet.hook);
  const matchedRules: string[] = [];
  const callers: Position[] = [];
  let current = packet;
  let position: Position | undefined = { chain: hook, index: 0 };
  while (position !== undefined) {
    const { chain, index }: Position = firstMatch(position, current);
    const rule = chain.rules[index];
    if (rule !== undefined) matchedRules.push(rule.text);
    // The end of a chain returns like a rule that says so.
    const target = rule?.target ?? END_OF_CHAIN;
    position = { chain, index: index + 1 };
    switch (target.kind) {
      case 'accept':
      case 'drop':
      case 'reject':
        return { verdict: target.kind, mark: current.connmark, matchedRules };
      case 'connmark':
        if (hasFlow(current))
          current = { ...current, connmark: ((current.connmark & ~target.mask) ^ target.value) >>> 0 };
        break;
      case 'addToSet':
        break;
      case 'jump':
        callers.push(position);
        position = { chain: chainNamed(chains, target.chain), index: 0 };
        break;
      // A goto leaves nothing behind: whoever returns from there goes back to the last jump.
      case 'goto':
        position = { chain: chainNamed(chains, target.chain), index: 0 };
        break;
      case 'return':
        position = callers.pop();
    }
  }
  // Nobody is left to return to: the policy of the hook's own chain decides.
  return { verdict: hook.policy ?? 'accept', mark: current.connmark, matchedRules };
}

const END_OF_CHAIN: Target = { kind: 'return' };

interface Position {
  readonly chain: TracedChain;
  readonly index: number;
}

/** Returns the position of the first rule from here on that matches, or the end of the chain. */
function firstMatch({ chain, index }: Position, packet: Packet): Position {
  const isMatch = ({ matches }: TracedRule) => matches.every((match) => match(packet));
  const found = chain.rules.findIndex((rule, at) => at >= index && isMatch(rule));
  return { chain, index: found === -1 ? chain.rules.length : found };
}

function chainNamed(chains: ReadonlyMap<string, TracedChain>, name: string): TracedChain {
  const chain = chains.get(name);
  if (chain === undefined) throw new Error(`Cannot trace: chain "${name}" is not declared`);
  return chain;
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
