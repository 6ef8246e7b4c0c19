import type { IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { Allow, PeerMatch, PortMatch } from '../../policy/model.ts';
import { comment, policiesText } from '../match.ts';
import { END_CHAINS, setName } from '../names.ts';
import { portClasses } from '../portClasses.ts';
import type { Profile } from '../profile.ts';
import type { Chain, Rule } from './chain.ts';
import { rangeMatches, type PortText } from './portMatch.ts';
import { portSearch } from './portSearch.ts';

/**
 * Returns the chains of a profile in one family, its own first and each before those that it leads to. Allowed packets RETURN and are never accepted:
 * the other end of the flow, and other owners of FORWARD, must still have their say.
 */
export function profileChains(profile: Profile, family: IpFamily): readonly Chain[] {
  const known = rendered[family].get(profile);
  if (known !== undefined) return known;
  const made = render(profile, family);
  rendered[family].set(profile, made);
  return made;
}

// Every pass asks for every profile.
const rendered: Readonly<Record<IpFamily, WeakMap<Profile, readonly Chain[]>>> = {
  ipv4: new WeakMap(),
  ipv6: new WeakMap(),
};

/** So many rules one after the other cost less than a search by port before them. */
const MOST_RULES = 8;

function render(profile: Profile, family: IpFamily): readonly Chain[] {
  const { name, allows, direction, others } = profile;
  const chainOf = (rules: readonly Rule[]) => ({ name, rules: [...rules, `-g ${END_CHAINS[others][direction]}`] });
  const rules = allowRules(allows, { direction, family });
  if (rules.length <= MOST_RULES) return [chainOf(rules)];
  const split = portClasses(profile);
  if (split === undefined || split.classes.length === 0) return [chainOf(rules)];
  const search = portSearch(split.classes, { direction, others });
  const parts = new Set(split.classes.map((part) => part.profile));
  return [
    chainOf([...allowRules(split.always, { direction, family }), ...search.rules]),
    ...search.chains,
    ...[...parts].flatMap((part) => profileChains(part, family)),
  ];
}

/** What is written the same in this family is one rule. */
function allowRules(
  allows: readonly Allow[],
  side: { readonly direction: Direction; readonly family: IpFamily },
): readonly Rule[] {
  const policiesByMatch = new Map<string, readonly string[]>();
  for (const allow of allows)
    for (const match of allowMatches(allow, side))
      policiesByMatch.set(match, [...(policiesByMatch.get(match) ?? []), ...allow.policies]);
  // A rule without a match lets everything pass: the others would be looked at for nothing.
  const everything = policiesByMatch.get('');
  const matches =
    everything === undefined ? [...policiesByMatch].sort(([a], [b]) => (a < b ? -1 : 1)) : [['', everything] as const];
  return matches.map(([match, policies]) =>
    [match, comment(policiesText([...new Set(policies)].sort())), '-j RETURN'].filter((part) => part !== '').join(' '),
  );
}

/** Returns the matches of one allow, `''` for everything; none when nothing of this family can match. */
function allowMatches(
  { peers, ports }: Allow,
  side: { readonly direction: Direction; readonly family: IpFamily },
): readonly string[] {
  const peer = peerMatch(peers, side);
  if (peer === undefined) return [];
  return portMatches(ports).map(({ protocol, port }) => {
    // The order in which iptables prints: address, protocol, then the matches.
    const parts = peer.kind === 'address' ? [peer.text, protocol, port] : [protocol, peer.text, port];
    return parts.filter((part) => part !== '').join(' ');
  });
}

type PeerText = { readonly kind: 'address' | 'set'; readonly text: string };

function peerMatch(
  peers: PeerMatch,
  { direction, family }: { readonly direction: Direction; readonly family: IpFamily },
): PeerText | undefined {
  switch (peers.kind) {
    case 'any':
      return { kind: 'address', text: '' };
    case 'network':
      if (peers.cidr.family !== family) return undefined;
      // The whole family is no match at all, and iptables prints none.
      return {
        kind: 'address',
        text: peers.cidr.text.endsWith('/0') ? '' : `${direction === 'ingress' ? '-s' : '-d'} ${peers.cidr.text}`,
      };
    case 'group':
      return {
        kind: 'set',
        text: `-m set --match-set ${setName(family, peers.key)} ${setDimensions(peers.key, direction)}`,
      };
  }
}

function setDimensions(groupKey: string, direction: Direction): string {
  if (direction === 'ingress') return 'src';
  return groupKey.startsWith('addressPorts ') ? 'dst,dst' : 'dst';
}

function portMatches(ports: readonly PortMatch[]): readonly PortText[] {
  const others = ports
    .filter((match) => match.kind !== 'range')
    .map((match) => ({ protocol: match.kind === 'any' ? '' : `-p ${match.protocol.toLowerCase()}`, port: '' }));
  const ranges = ports.filter((match) => match.kind === 'range');
  return [...others, ...[...Map.groupBy(ranges, ({ protocol }) => protocol).values()].flatMap(rangeMatches)];
}
