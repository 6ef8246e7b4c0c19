import type { PortRange } from '../../policy/model.ts';

/** A match of ports. The protocol comes first in a rule, whatever else there is between the two. */
export interface PortText {
  readonly protocol: string;
  readonly port: string;
}

/** Returns the matches of ranges of one protocol: one, unless there are more than fit into one. */
export function rangeMatches(ranges: readonly PortRange[]): readonly PortText[] {
  const [first] = ranges;
  if (first === undefined) return [];
  const name = first.protocol.toLowerCase();
  const protocol = `-p ${name}`;
  if (ranges.some(({ from, to }) => from === 0 && to === 65_535)) return [{ protocol, port: '' }];
  // The sctp match is a module of its own that small kernels leave out; multiport knows the protocol too.
  if (ranges.length === 1 && name !== 'sctp') return [{ protocol, port: `-m ${name} --dport ${rangeText(first)}` }];
  return multiports(ranges).map((some) => ({ protocol, port: `-m multiport --dports ${some.map(rangeText).join()}` }));
}

function rangeText({ from, to }: PortRange): string {
  return from === to ? `${from}` : `${from}:${to}`;
}

/** What one multiport match holds; a range takes two places. */
const MULTIPORT_PLACES = 15;

function multiports(ranges: readonly PortRange[]): readonly (readonly PortRange[])[] {
  const matches: PortRange[][] = [];
  let free = 0;
  for (const range of ranges) {
    const places = range.from === range.to ? 1 : 2;
    if (places > free) {
      matches.push([]);
      free = MULTIPORT_PLACES;
    }
    matches.at(-1)?.push(range);
    free -= places;
  }
  return matches;
}
