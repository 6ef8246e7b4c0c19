import type { PortMatch, PortRange } from './model.ts';

/** Returns the ports that any of the matches names: sorted, each once, ranges that touch as one. */
export function unionOfPorts(ports: readonly PortMatch[]): readonly PortMatch[] {
  if (ports.length < 2) return ports;
  const single = ports.find(({ kind }) => kind !== 'range');
  if (single !== undefined) return [single];
  const sorted = ports
    .filter((match) => match.kind === 'range')
    .toSorted((a, b) => compare(a.protocol, b.protocol) || a.from - b.from);
  const union: PortRange[] = [];
  for (const range of sorted) {
    const before = union.at(-1);
    if (before === undefined || before.protocol !== range.protocol || range.from > before.to + 1) union.push(range);
    else if (range.to > before.to) union[union.length - 1] = { ...before, to: range.to };
  }
  return union;
}

/** Returns a text that is equal for equal lists. */
export function portsKey(ports: readonly PortMatch[]): string {
  return ports
    .map((match) => {
      if (match.kind === 'any') return 'any';
      return match.kind === 'inGroup' ? `in ${match.protocol}` : `${match.protocol} ${match.from}-${match.to}`;
    })
    .join();
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
