import type { IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { Allow, PeerMatch, PortMatch } from '../../policy/model.ts';
import type { Rule } from './chain.ts';
import { comment } from '../match.ts';
import { REJECT_CHAIN, setName } from '../names.ts';
import type { Profile } from '../profile.ts';

/**
 * Returns the rules of a profile's chain in one family. Allowed packets RETURN and are never accepted: the other end of the flow, and other owners
 * of FORWARD, must still have their say.
 */
export function profileRules(profile: Profile, family: IpFamily): readonly Rule[] {
  const known = rendered[family].get(profile);
  if (known !== undefined) return known;
  const { allows, direction } = profile;
  const rules = [...allowRules(allows, { direction, family }), `-g ${REJECT_CHAIN}`];
  rendered[family].set(profile, rules);
  return rules;
}

// Every pass asks for every profile.
const rendered: Readonly<Record<IpFamily, WeakMap<Profile, readonly Rule[]>>> = {
  ipv4: new WeakMap(),
  ipv6: new WeakMap(),
};

/** What is written the same in this family is one rule. */
function allowRules(
  allows: readonly Allow[],
  side: { readonly direction: Direction; readonly family: IpFamily },
): readonly Rule[] {
  const policyByMatch = new Map<string, string>();
  for (const allow of allows) {
    const match = allowMatch(allow, side);
    if (match === undefined) continue;
    const policy = policyByMatch.get(match);
    if (policy === undefined || allow.policy < policy) policyByMatch.set(match, allow.policy);
  }
  // A rule without a match lets everything pass: the others would be looked at for nothing.
  const everything = policyByMatch.get('');
  const matches =
    everything === undefined ? [...policyByMatch].sort(([a], [b]) => (a < b ? -1 : 1)) : [['', everything] as const];
  return matches.map(([match, policy]) =>
    [match, comment(policy), '-j RETURN'].filter((part) => part !== '').join(' '),
  );
}

/** Returns the match of one allow, `''` for everything, `undefined` when nothing of this family can match. */
function allowMatch(
  { peers, ports }: Allow,
  side: { readonly direction: Direction; readonly family: IpFamily },
): string | undefined {
  const peer = peerMatch(peers, side);
  if (peer === undefined) return undefined;
  const { protocol, port } = portMatch(ports);
  // The order in which iptables prints: address, protocol, then the matches.
  const parts = peer.kind === 'address' ? [peer.text, protocol, port] : [protocol, peer.text, port];
  return parts.filter((part) => part !== '').join(' ');
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

function portMatch(ports: PortMatch): { readonly protocol: string; readonly port: string } {
  if (ports.kind === 'any') return { protocol: '', port: '' };
  const name = ports.protocol.toLowerCase();
  if (ports.kind === 'inGroup' || (ports.from === 0 && ports.to === 65_535))
    return { protocol: `-p ${name}`, port: '' };
  const range = ports.from === ports.to ? `${ports.from}` : `${ports.from}:${ports.to}`;
  // The sctp match is a module of its own that small kernels leave out; multiport knows the protocol too.
  const match = ports.protocol === 'SCTP' ? `-m multiport --dports ${range}` : `-m ${name} --dport ${range}`;
  return { protocol: `-p ${name}`, port: match };
}
