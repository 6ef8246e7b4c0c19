import type { Direction, NetworkPolicy } from '../kube/networkPolicy.ts';
import type { NamedPort } from '../kube/pod.ts';
import { addressGroup, networkGroup, type GroupDefinition } from './groupDefinition.ts';
import type { Allow, NetworkBlock, PeerMatch } from './model.ts';
import { portsKey, unionOfPorts } from './portRanges.ts';
import { linesOf, type LinePeer, type RuleLine } from './ruleLines.ts';

/** What policies allow together, in as few lines as it takes, and the groups that these name. */
export interface Allowed {
  readonly allows: readonly Allow[];
  readonly groups: readonly GroupDefinition[];
}

/**
 * Returns what these policies, which isolate a pod in this direction, allow it together. Of the pod nothing counts but the named ports that it has
 * for ingress.
 */
export function allowedBy(
  policies: readonly NetworkPolicy[],
  side: { readonly direction: Direction; readonly namedPorts: readonly NamedPort[] },
): Allowed {
  const lines = policies.flatMap((policy) => linesOf(policy, side));
  const byPeer = [...Map.groupBy(lines, ({ peer }) => peer.key).values()].flatMap(withAllPorts);
  const everything = byPeer.find(({ peer, ports }) => peer.kind === 'any' && ports[0]?.kind === 'any');
  if (everything !== undefined) return merged([everything]);
  const merges = [...Map.groupBy(byPeer, ({ ports }) => portsKey(ports)).values()].map(merged);
  return { allows: merges.flatMap(({ allows }) => allows), groups: merges.flatMap(({ groups }) => groups) };
}

/** Of one peer that several rules name all their ports together. */
function withAllPorts(lines: readonly RuleLine[]): readonly RuleLine[] {
  const ports = unionOfPorts(lines.flatMap((line) => line.ports));
  return lines.slice(0, 1).map(({ peer }) => ({ peer, ports, policies: policiesOf(lines) }));
}

function policiesOf(lines: readonly RuleLine[]): readonly string[] {
  const [first, ...others] = lines;
  if (first !== undefined && others.length === 0) return first.policies;
  return [...new Set(lines.flatMap(({ policies }) => policies))].sort();
}

/** Returns what lines with the same ports allow: their peers together. */
function merged(lines: readonly RuleLine[]): Allowed {
  const ports = lines[0]?.ports ?? [];
  const everybody = lines.find(({ peer }) => peer.kind === 'any');
  if (everybody !== undefined)
    return { allows: [{ peers: { kind: 'any' }, ports, policies: everybody.policies }], groups: [] };
  const parts = [...networkParts(lines), ...scopeParts(lines), ...groupParts(lines)];
  return {
    allows: parts.map(({ peers, of }) => ({ peers: matchOf(peers), ports, policies: policiesOf(of) })),
    groups: parts.flatMap(({ peers }) => ('cidr' in peers ? [] : [peers])),
  };
}

/** What one match looks up: a network as it stands, or a group. */
interface Part {
  readonly peers: GroupDefinition | NetworkBlock;
  readonly of: readonly RuleLine[];
}

function matchOf(peers: Part['peers']): PeerMatch {
  return 'cidr' in peers ? { kind: 'network', cidr: peers.cidr } : { kind: 'group', key: peers.key };
}

/**
 * Up to so many groups are looked up one after the other: a group that means one scope is shared with every other profile that names it, in memory
 * and in each change of a member. More become one group that is this profile's own.
 */
const MOST_LOOKUPS = 4;

/** A line whose peer is of this kind. */
type LineOf<Kind extends LinePeer['kind']> = RuleLine & { readonly peer: Extract<LinePeer, { kind: Kind }> };

function isOf<Kind extends LinePeer['kind']>(kind: Kind): (line: RuleLine) => line is LineOf<Kind> {
  return (line): line is LineOf<Kind> => line.peer.kind === kind;
}

/** Several plain networks share a group from the second on: nothing ever changes in it. */
function networkParts(lines: readonly RuleLine[]): readonly Part[] {
  const blocks = lines.filter(isOf('block'));
  const holed = blocks.filter(({ peer }) => peer.block.except.length > 0);
  if (holed.length > MOST_LOOKUPS) return [networkPart(blocks)];
  const plain = blocks.filter(({ peer }) => peer.block.except.length === 0);
  return [...(plain.length === 0 ? [] : [networkPart(plain)]), ...holed.map((one) => networkPart([one]))];
}

function networkPart(of: readonly LineOf<'block'>[]): Part {
  const blocks = of.map(({ peer }) => peer.block);
  const [first] = blocks;
  const isPlain = blocks.length === 1 && first !== undefined && first.except.length === 0;
  return { peers: isPlain ? first : networkGroup(blocks), of };
}

/** Scopes over namespaces by selector are often the same in every namespace: they are not mixed with a namespace's own. */
function scopeParts(lines: readonly RuleLine[]): readonly Part[] {
  const scopes = lines.filter(isOf('scope'));
  const [own, selected] = [
    scopes.filter(({ peer }) => typeof peer.scope.namespaces === 'string'),
    scopes.filter(({ peer }) => typeof peer.scope.namespaces !== 'string'),
  ];
  return [own, selected].flatMap((some) => {
    if (some.length <= MOST_LOOKUPS) return some.map((one) => ({ peers: one.peer.group, of: [one] }));
    return [{ peers: addressGroup(some.map(({ peer }) => peer.scope)), of: some }];
  });
}

function groupParts(lines: readonly RuleLine[]): readonly Part[] {
  return lines.filter(isOf('group')).map((line) => ({ peers: line.peer.group, of: [line] }));
}
