import type { Protocol } from '../net/protocol.ts';
import { PROTOCOLS } from '../net/protocol.ts';
import type { Allow, PortRange } from '../policy/model.ts';
import { profile, type Profile } from './profile.ts';

/** A profile taken apart by ports, so that a packet meets only what its own port may have. */
export interface PortClasses {
  /** What does not depend on a number: any port, and ports that are in a group. */
  readonly always: readonly Allow[];
  /** What holds on top of that for a range of ports. Ranges are sorted by protocol and port, and do not overlap. */
  readonly classes: readonly PortClass[];
}

export interface PortClass {
  readonly range: PortRange;
  /** The peers that the range is open for, on any port. Ranges with the same peers have the same object. */
  readonly profile: Profile;
}

/** What overlaps is written down several times: up to so often for each range that there is. */
const MOST_COPIES = 8;

/** Returns a profile's classes of ports, `undefined` where its ranges overlap so much that it would only grow. */
export function portClasses({ allows, direction, others }: Profile): PortClasses | undefined {
  const always = allows.filter(({ ports }) => ports.some(({ kind }) => kind !== 'range'));
  const profiles = new Map<string, Profile>();
  let copies = 0;
  const classes = PROTOCOLS.flatMap((protocol) => stretches(allows, protocol)).map(({ range, open }) => {
    const key = open.join();
    const found = profiles.get(key);
    if (found !== undefined) return { range, profile: found };
    copies += open.length;
    const made = profile(
      allows.filter((_, index) => open.includes(index)).map((allow) => ({ ...allow, ports: [{ kind: 'any' }] })),
      direction,
      { others },
    );
    profiles.set(key, made);
    return { range, profile: made };
  });
  return copies > MOST_COPIES * allows.flatMap(({ ports }) => ports).length ? undefined : { always, classes };
}

interface Stretch {
  readonly range: PortRange;
  /** The allows that are open there, by their index. */
  readonly open: readonly number[];
}

/** Cuts a protocol's ports wherever an allow begins or ends, and returns the pieces in which there are any. */
function stretches(allows: readonly Allow[], protocol: Protocol): readonly Stretch[] {
  const edges = allows.flatMap(({ ports }, index) =>
    ports
      .filter((match) => match.kind === 'range')
      .filter((range) => range.protocol === protocol)
      .flatMap(({ from, to }) => [from, to + 1].map((port) => ({ port, index }))),
  );
  const cuts = [...Map.groupBy(edges, ({ port }) => port)].sort(([a], [b]) => a - b);
  const open = new Set<number>();
  return cuts.flatMap(([from, changes], at): readonly Stretch[] => {
    // An edge opens what is closed and closes what is open.
    for (const { index } of changes) if (!open.delete(index)) open.add(index);
    const next = cuts[at + 1];
    if (next === undefined || open.size === 0) return [];
    return [{ range: { kind: 'range', protocol, from, to: next[0] - 1 }, open: [...open].sort((a, b) => a - b) }];
  });
}
