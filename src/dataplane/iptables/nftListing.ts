import type { IpFamily } from '../../net/family.ts';
import type { JUMPS } from '../../rules/iptables/entryChains.ts';
import { ENTRY_CHAIN } from '../../rules/names.ts';

/** A chain of others that a jump of ours stands in. */
export type JumpChain = keyof typeof JUMPS;

/** Where our jump stands in somebody else's chain; FORWARD's must come first, OUTPUT's may stand anywhere. */
export type JumpPlace = 'right' | 'wrong' | 'missing';

const TABLES = { ipv4: 'ip', ipv6: 'ip6' } as const satisfies Record<IpFamily, string>;

/** Returns the arguments with which nft prints a chain of the filter table: it has words for every rule, also where iptables-nft has none. */
export function listingArguments(family: IpFamily, chain: JumpChain): readonly string[] {
  return ['--stateless', 'list', 'chain', TABLES[family], 'filter', chain];
}

/**
 * Returns where our jump stands in a chain that nft has printed. Only our own lines are looked for.
 *
 * A jump that iptables cannot find, because it stumbles over a rule before it, cannot be deleted either: it counts as missing, and another one
 * comes first. The one behind does no harm, and goes when iptables can look again.
 */
export function listedPlace(
  text: string,
  { chain, isFound }: { readonly chain: JumpChain; readonly isFound: boolean },
): JumpPlace {
  // The first indented line tells the chain's type and policy.
  const [, ...rules] = text.split('\n').filter((line) => line.startsWith('\t\t'));
  const index = rules.findIndex((rule) => OURS[chain].test(rule));
  if (index === 0 || (index > 0 && chain === 'OUTPUT')) return 'right';
  return index > 0 && isFound ? 'wrong' : 'missing';
}

// nft tells the address type as "fib saddr type", or by the name of the match where it knows nothing of iptables.
const OURS = {
  FORWARD: new RegExp(`^\\t\\tcounter(?: packets \\d+ bytes \\d+)? jump ${ENTRY_CHAIN}$`),
  OUTPUT: new RegExp(`^\\t\\t(?:fib saddr type != local|xt match "?addrtype"?) .*jump ${ENTRY_CHAIN}$`),
} as const satisfies Record<JumpChain, RegExp>;
