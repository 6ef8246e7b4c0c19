import { readRule, type RuleTable, type TracedRule } from '../../src/trace/iptables/ruleReader.ts';

export interface TracedChain {
  /** What happens at the end of a chain of the kernel's own; `undefined` for every other chain. */
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly TracedRule[];
}

interface GrowingChain extends TracedChain {
  readonly rules: TracedRule[];
}

/**
 * Returns the chains of `iptables-restore` or `iptables -S` text by name.
 * Throws an `Error` for whatever the kernel would refuse (jumps to chains that are not there, loops, names too long) and for every word that this
 * reader does not know: a rule that is not understood must never be skipped.
 */
export function parseRulesDump(text: string, table: RuleTable): ReadonlyMap<string, TracedChain> {
  const chains = new Map<string, GrowingChain>();
  for (const [index, line] of text.split('\n').entries()) {
    try {
      parseLine(chains, line.trim(), table);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot trace: line ${index + 1} of the rules, "${line.trim()}": ${reason}`, { cause: error });
    }
  }
  for (const [name, chain] of chains) checkTargets(chains, name, chain);
  for (const name of chains.keys()) checkLoop(chains, [name]);
  return chains;
}

function parseLine(chains: Map<string, GrowingChain>, line: string, table: RuleTable): void {
  if (line === '' || line.startsWith('#') || line === '*filter' || line === 'COMMIT') return;
  const [, declared, policy] =
    /^:(\S+) (-|ACCEPT|DROP)(?: \[\d+:\d+\])?$/.exec(line) ?? /^-P (\S+) (ACCEPT|DROP)$/.exec(line) ?? [];
  const added = declared ?? /^-N (\S+)$/.exec(line)?.[1];
  if (added !== undefined) declare(chains, added, policy);
  else if (line.startsWith('-A ')) append(chains, line, table);
  else throw new Error('unknown command');
}

const KERNEL_CHAINS = ['INPUT', 'FORWARD', 'OUTPUT'];
const MAX_NAME = 28;

function declare(chains: Map<string, GrowingChain>, name: string, policy = '-'): void {
  if (chains.has(name)) throw new Error(`chain "${name}" is declared twice`);
  if (name.length > MAX_NAME) throw new Error(`chain name "${name}" is longer than ${MAX_NAME}`);
  if (KERNEL_CHAINS.includes(name) !== (policy !== '-'))
    throw new Error(`chain "${name}" cannot have policy "${policy}"`);
  chains.set(name, { policy: policy === '-' ? undefined : policy === 'ACCEPT' ? 'accept' : 'drop', rules: [] });
}

function append(chains: ReadonlyMap<string, GrowingChain>, line: string, table: RuleTable): void {
  const [, name = '', rule = ''] = /^-A (\S+) (.*)$/.exec(line) ?? [];
  const chain = chains.get(name);
  if (chain === undefined) throw new Error(`chain "${name}" is not declared`);
  chain.rules.push({ ...readRule(rule, table), text: line });
}

function checkTargets(chains: ReadonlyMap<string, TracedChain>, name: string, { rules }: TracedChain): void {
  for (const { text, target } of rules) {
    if (target.kind !== 'jump' && target.kind !== 'goto') continue;
    const chain = chains.get(target.chain);
    if (chain === undefined || chain.policy !== undefined) {
      throw new Error(
        `Cannot trace: chain "${name}" leads to "${target.chain}", which is no declared chain: "${text}"`,
      );
    }
  }
}

function checkLoop(chains: ReadonlyMap<string, TracedChain>, path: readonly string[]): void {
  const next = new Set(
    chains.get(path.at(-1) ?? '')?.rules.flatMap(({ target }) => ('chain' in target ? [target.chain] : [])),
  );
  for (const chain of next) {
    if (path.includes(chain))
      throw new Error(`Cannot trace: the chains go in a circle: ${[...path, chain].join(' → ')}`);
    checkLoop(chains, [...path, chain]);
  }
}
