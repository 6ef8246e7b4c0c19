import type { NftChain, NftTable, NftTables } from '../../rules/nftables/table.ts';
import type { Packet } from '../packet.ts';
import { walk, type Chains, type Step, type Way } from '../walk.ts';
import type { PacketView } from './fields.ts';
import { runNftRule } from './runRule.ts';

/** Follows a packet that is forwarded through the base chains of both our tables, in the order in which the kernel calls them. */
export function followNftables(tables: NftTables, packet: Packet): Way {
  const steps: Step[] = [];
  let current = packet;
  for (const stage of stagesOf(packet)) {
    const { family } = stage;
    const table = tables[family];
    if (table === undefined) continue;
    for (const { name, policy } of baseChains(table, stage.hook)) {
      const way = walk(chainsOf(table, stage), { start: name, packet: current });
      steps.push(...way.steps.map(({ chain, rule }) => ({ chain: `${family} ${chain}`, rule })));
      const end = way.end === 'end' ? policy : way.end;
      if (end !== 'accept') return { ...way, end, steps };
      current = way.packet;
    }
  }
  return { end: 'accept', steps, packet: current };
}

type Stage = Pick<PacketView, 'family' | 'hook'>;

/** What comes in by a port of a bridge passes the bridge's table before it is routed, and once more where the bridge itself passes it on. */
function stagesOf({ physdevIn, bridged }: Packet): readonly Stage[] {
  return [
    ...(physdevIn === undefined ? [] : [{ family: 'bridge', hook: 'prerouting' } as const]),
    { family: 'inet', hook: 'prerouting' },
    ...(bridged ? [{ family: 'bridge', hook: 'forward' } as const] : []),
    { family: 'inet', hook: 'forward' },
  ];
}

interface BaseChain {
  readonly name: string;
  readonly priority: number;
  readonly policy: 'accept' | 'drop' | 'unknown';
}

function baseChains({ chains }: NftTable, hook: Stage['hook']): readonly BaseChain[] {
  const called = [...chains].flatMap(([name, chain]) => {
    const base = baseOf(name, chain);
    return base?.hook === hook ? [base] : [];
  });
  return called.toSorted((a, b) => a.priority - b.priority);
}

function baseOf(name: string, { hook: text = '' }: NftChain): (BaseChain & { readonly hook: string }) | undefined {
  const [, hook, priority, policy] = /^type filter hook (\w+) priority (-?\d+); policy (\w+);$/.exec(text) ?? [];
  if (hook === undefined) return undefined;
  const known = policy === 'accept' || policy === 'drop' ? policy : 'unknown';
  return { name, hook, priority: Number(priority), policy: known };
}

function chainsOf(table: NftTable, stage: Stage): Chains<string> {
  return {
    rulesOf: (chain: string) => table.chains.get(chain)?.rules,
    run: (rule: string, packet: Packet) => runNftRule(rule, { table, view: { ...stage, packet } }),
    textOf: (rule: string) => rule,
  };
}
