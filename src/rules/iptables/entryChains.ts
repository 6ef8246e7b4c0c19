import type { IpFamily } from '../../net/family.ts';
import type { Chain, Rule } from './chain.ts';
import type { Mark } from '../mark.ts';
import {
  EGRESS_CHAIN,
  END_CHAINS,
  ENTRY_CHAIN,
  INGRESS_CHAIN,
  PROFILES_CHAIN,
  REJECT_CHAIN,
  SOURCES_CHAIN,
} from '../names.ts';

/** Our jumps from the chains of others. FORWARD's must stay the first rule there. */
export const JUMPS = {
  FORWARD: `-j ${ENTRY_CHAIN}`,
  // What IPVS forwards leaves by OUTPUT with a source that is not this node's; the node's own traffic is never judged.
  OUTPUT: `-m addrtype ! --src-type LOCAL -j ${ENTRY_CHAIN}`,
} as const satisfies Record<string, Rule>;

/** The chains that stand as long as we do, in the order in which they are made: what is jumped to comes first. */
export const STANDING_CHAINS: readonly string[] = [
  REJECT_CHAIN,
  ...Object.values(END_CHAINS).flatMap((chains) => Object.values(chains)),
  PROFILES_CHAIN,
  SOURCES_CHAIN,
  EGRESS_CHAIN,
  INGRESS_CHAIN,
  ENTRY_CHAIN,
];

/**
 * Returns the entry chain for one family under a generation.
 *
 * A flow already judged under this generation leaves at the first rule, whichever way the packet goes. Replies pass even when the judgement is
 * stale: a download whose client has nothing to say until data arrives would stand still otherwise. What is left is the first packet of a flow,
 * or the first one since the generation was raised: both ends must allow it, then the flow is marked as judged.
 *
 * It ends in a RETURN, so that a new generation can be put before an older one: what is behind is dead until somebody takes it out.
 */
export function entryChain(family: IpFamily, mark: Mark): Chain {
  return entryChainWith(family, markText(mark));
}

/** A mark as iptables prints it, `0x10000/0xffff0000`. */
function markText({ value, mask }: Mark): string {
  return `0x${value.toString(16)}/0x${mask.toString(16)}`;
}

function entryChainWith(family: IpFamily, mark: string): Chain {
  return {
    name: ENTRY_CHAIN,
    rules: [
      `-m connmark --mark ${mark} -j RETURN`,
      '-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN',
      ...(family === 'ipv6' ? NEIGHBOUR_DISCOVERY : []),
      `-j ${EGRESS_CHAIN}`,
      `-j ${INGRESS_CHAIN}`,
      `-j CONNMARK --set-xmark ${mark}`,
      '-j RETURN',
    ],
  };
}

// Over a bridge, ip6tables sees neighbour discovery between pods. Router solicitations, neighbour solicitations and advertisements must pass;
// router advertisements and redirects (134, 137) must not come from a pod (CVE-2020-10749): their link-local source is not the pod's.
const NEIGHBOUR_DISCOVERY: readonly Rule[] = [133, 135, 136].map(
  (type) => `-p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j RETURN`,
);

/** Returns the chain in which every refusal ends, noted down or not, for one family. */
export function rejectChain(family: IpFamily): Chain {
  const unreachable = `-j REJECT --reject-with ${family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'}`;
  return {
    name: REJECT_CHAIN,
    rules: [
      '-m conntrack --ctstate INVALID -j DROP',
      // The kernel sends a reset to a pod on a bridge past NAT: who has asked for a Service would not know the address that refuses.
      `-p tcp -m conntrack --ctstate NEW -m conntrack --ctstate DNAT ${unreachable}`,
      // An icmp error does not end a TCP connection that was established, and the kernel sends few of them a second; a reset is always heard.
      '-p tcp -j REJECT --reject-with tcp-reset',
      unreachable,
    ],
  };
}

/** How many generations may stand one behind the other, dead but for the first. */
const MOST_GENERATIONS = 10;

/**
 * Tells whether the rules are an entry chain of ours, under whatever generation and mask, with older ones behind it but not too many: each ADD
 * leaves one there.
 */
export function isEntryChain(rules: readonly Rule[], family: IpFamily): boolean {
  const { length } = entryChainWith(family, '').rules;
  const count = rules.length / length;
  if (!Number.isInteger(count) || count < 1 || count > MOST_GENERATIONS) return false;
  return Array.from({ length: count }, (_, index) => rules.slice(index * length, (index + 1) * length)).every(
    (generation) => isGeneration(generation, family),
  );
}

function isGeneration(rules: readonly Rule[], family: IpFamily): boolean {
  const mark = /--mark (0x[0-9a-f]+\/0x[0-9a-f]+) /.exec(rules[0] ?? '')?.[1];
  return mark !== undefined && rules.join('\n') === entryChainWith(family, mark).rules.join('\n');
}
