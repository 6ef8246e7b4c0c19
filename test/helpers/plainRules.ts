import type { NodePolicy } from '../../src/policy/model.ts';

/** Returns what a node's policy says, whatever the order in which it came to that. */
export function plainRules({ pods, peerGroups }: NodePolicy): unknown {
  const groups = Array.from(peerGroups, ([key, group]) => {
    const members = group.kind === 'networks' ? group.blocks : [...group.members];
    return { key, members: members.map((member) => JSON.stringify(member)).sort() };
  });
  return { pods: new Map(pods), groups: groups.toSorted((a, b) => (a.key < b.key ? -1 : 1)) };
}
