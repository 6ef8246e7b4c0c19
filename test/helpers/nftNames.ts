import { RefusedError } from './restoreTable.ts';

// Each was given to nft 1.0.6 as the name of a chain and of a set, and refused.
const KEYWORDS = new Set(
  `accept add ah all and arp auto-merge bridge cgroup chain comment comp constant continue counter cpu create ct day dccp
  define delete describe device devices dnat drop dst dup dynamic ecn element elements eq esp ether exists expires export
  exthdr fib flags flow flowtable flush frag fwd gc-interval ge get goto gt handle hbh hook hour ibriport ibrname icmp
  icmpv6 igmp iif iifgroup iifname iiftype import include index inet insert interval ip ip6 ipsec jhash jump le limit list
  log lshift lt map mark masquerade meta meter mh missing monitor ne netdev nftrace not notrack numgen obriport obrname
  offload oif oifgroup oifname oiftype or osf pkttype policy position priority queue quota random redefine redirect reject
  rename replace reset return rshift rt rt0 rt2 rtclassid rule ruleset sctp secmark set size skgid skuid snat socket srh
  symhash synproxy table tcp th time timeout tproxy type typeof udp udplite undefine update vlan vmap xor xt`.split(
    /\s+/,
  ),
);

// nft 1.0.6 takes these two, and names of up to 255 bytes. We never want to need either.
const AVOIDED = new Set(['egress', 'ingress']);
const MAX_NAME = 128;
const MAX_COMMENT = 128;

/** Returns the name of a table, chain, set or map. Throws a RefusedError for what nft does not take as one. */
export function nameOf(text: string): string {
  if (KEYWORDS.has(text) || AVOIDED.has(text)) throw new RefusedError(`syntax error, unexpected ${text}`);
  if (!/^[A-Za-z_.][-\w/.]*$/.test(text)) throw new RefusedError(`syntax error, unexpected "${text}" for a name`);
  if (text.length > MAX_NAME) throw new RefusedError('Could not process rule: Numerical result out of range');
  return text;
}

/** Returns a comment. Throws a RefusedError for one that is too long. */
export function commentOf(text: string): string {
  if (Buffer.byteLength(text) > MAX_COMMENT)
    throw new RefusedError(`comment too long, ${MAX_COMMENT} characters maximum allowed`);
  return text;
}
