import { IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { Allow, PeerMatch, PortMatch, PortRange } from '../../policy/model.ts';
import { policiesText } from '../match.ts';
import { portClasses, type PortClass } from '../portClasses.ts';
import type { Profile } from '../profile.ts';
import { nftProfileChainName, nftSetName, NFT_END_CHAINS } from './names.ts';
import { nftComment, type NftChain, type NftRule } from './table.ts';

type NamedChain = readonly [string, NftChain];

/**
 * Returns the chains of a profile by name, its own first and each before those that it leads to. Allowed packets return and are never accepted: the
 * other end of the flow must still have its say.
 */
export function profileChains(profile: Profile): readonly NamedChain[] {
  const known = rendered.get(profile);
  if (known !== undefined) return known;
  const made = render(profile);
  rendered.set(profile, made);
  return made;
}

// Every pass asks for every profile.
const rendered = new WeakMap<Profile, readonly NamedChain[]>();

/** So many rules one after the other cost less than a look at the port before them. */
const MOST_RULES = 8;

function render(profile: Profile): readonly NamedChain[] {
  const { allows, direction } = profile;
  const rules = allowRules(allows, direction);
  if (rules.length <= MOST_RULES) return [chainOf(profile, rules)];
  const split = portClasses(profile);
  if (split === undefined || split.classes.length === 0) return [chainOf(profile, rules)];
  const parts = new Set(split.classes.map((part) => part.profile));
  return [
    chainOf(profile, [...allowRules(split.always, direction), ...classRules(split.classes)]),
    ...[...parts].flatMap(profileChains),
  ];
}

function chainOf({ name, direction, others }: Profile, rules: readonly NftRule[]): NamedChain {
  const comment = `what ${direction} of the pods that come here may be`;
  return [nftProfileChainName(name), { comment, rules: [...rules, `goto ${NFT_END_CHAINS[others][direction]}`] }];
}

/** One lookup a protocol leads to what the port may have. */
function classRules(classes: readonly PortClass[]): readonly NftRule[] {
  return [...Map.groupBy(classes, ({ range }) => range.protocol)].map(([protocol, some]) => {
    const elements = some.map(({ range, profile }) => [rangeText(range), leadsTo(profile)] as const);
    if (elements.length > 1)
      return `${protocol.toLowerCase()} dport vmap { ${elements.map((element) => element.join(' : ')).join(', ')} }`;
    return [...portMatches(some.map(({ range }) => range)), ...some.map(({ profile }) => leadsTo(profile))].join(' ');
  });
}

function leadsTo({ name }: Profile): string {
  return `goto ${nftProfileChainName(name)}`;
}

function allowRules(allows: readonly Allow[], direction: Direction): readonly NftRule[] {
  const side = direction === 'ingress' ? 'saddr' : 'daddr';
  return allows.flatMap(({ peers, ports, policies }) => {
    const end = `return ${nftComment(policiesText(policies))}`;
    return peerMatches(peers, { side, ports }).flatMap((peer) =>
      portMatches(ports).map((port) => [peer, port, end].filter((part) => part !== '').join(' ')),
    );
  });
}

/** Returns a match for each family in which the peers are; `''` for everybody. */
function peerMatches(
  peers: PeerMatch,
  { side, ports }: { readonly side: 'saddr' | 'daddr'; readonly ports: readonly PortMatch[] },
): readonly string[] {
  switch (peers.kind) {
    case 'any':
      return [''];
    case 'network':
      return [networkMatch(peers.cidr, side)];
    case 'group':
      return IP_FAMILIES.map((family) => {
        const named = ports.find(({ kind }) => kind === 'inGroup');
        const port = named?.kind === 'inGroup' ? ` . ${named.protocol.toLowerCase()} dport` : '';
        return `${PROTOCOLS[family]} ${side}${port} @${nftSetName(family, peers.key)}`;
      });
  }
}

const PROTOCOLS = { ipv4: 'ip', ipv6: 'ip6' } as const;

function networkMatch(
  { text, family }: { readonly text: string; readonly family: IpFamily },
  side: 'saddr' | 'daddr',
): string {
  if (text.endsWith('/0')) return `meta nfproto ${family}`;
  const host = family === 'ipv4' ? '/32' : '/128';
  return `${PROTOCOLS[family]} ${side} ${text.endsWith(host) ? text.slice(0, -host.length) : text}`;
}

function portMatches(ports: readonly PortMatch[]): readonly string[] {
  const ranges = ports.filter((match) => match.kind === 'range');
  if (ranges.length < ports.length) return [''];
  return [...Map.groupBy(ranges, ({ protocol }) => protocol.toLowerCase())].map(([protocol, some]) => {
    if (some.some(({ from, to }) => from === 0 && to === 65_535)) return `meta l4proto ${protocol}`;
    const texts = some.map(rangeText);
    return `${protocol} dport ${texts.length === 1 ? texts.join() : `{ ${texts.join(', ')} }`}`;
  });
}

function rangeText({ from, to }: PortRange): string {
  return from === to ? `${from}` : `${from}-${to}`;
}
