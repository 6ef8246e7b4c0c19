import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PortMatch, PortRange } from '../../src/policy/model.ts';
import { portsKey, unionOfPorts } from '../../src/policy/portRanges.ts';

const MOST = 12;
const range: fc.Arbitrary<PortRange> = fc
  .tuple(fc.constantFrom('TCP' as const, 'UDP' as const), fc.nat({ max: MOST }), fc.nat({ max: MOST }))
  .map(([protocol, a, b]) => ({ kind: 'range', protocol, from: Math.min(a, b), to: Math.max(a, b) }));

function has(ports: readonly PortMatch[], protocol: string, port: number): boolean {
  return ports.some(
    (match) => match.kind === 'range' && match.protocol === protocol && match.from <= port && port <= match.to,
  );
}

describe('the union of ranges', () => {
  test('holds what any of them holds, and nothing else', () => {
    const holds = fc.property(fc.array(range), (ranges) => {
      const union = unionOfPorts(ranges);
      for (const protocol of ['TCP', 'UDP', 'SCTP'])
        for (let port = 0; port <= MOST + 1; port += 1)
          expect(has(union, protocol, port)).toBe(has(ranges, protocol, port));
    });
    fc.assert(holds);
  });

  test('is the same for the same ports, however they are said: sorted, and apart from each other', () => {
    const holds = fc.property(fc.array(range), (ranges) => {
      const union = unionOfPorts(ranges).filter((match) => match.kind === 'range');
      const single = ranges.flatMap((one) =>
        Array.from({ length: one.to - one.from + 1 }, (_, index) => ({
          ...one,
          from: one.from + index,
          to: one.from + index,
        })),
      );
      expect(portsKey(unionOfPorts(single.toReversed()))).toBe(portsKey(union));
      const neighbours = union.filter(({ protocol, to }, index) => {
        const next = union[index + 1];
        return next?.protocol === protocol && next.from <= to + 1;
      });
      expect(neighbours).toEqual([]);
    });
    fc.assert(holds);
  });
});

test('of any port and some ports it is any port', () => {
  const some: PortMatch = { kind: 'range', protocol: 'TCP', from: 80, to: 80 };
  expect(unionOfPorts([some, { kind: 'any' }])).toEqual([{ kind: 'any' }]);
});
