import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { columnsOf, namespacesOf, NO_FILTER, portChoices, rowsOf } from '../../src/page/axes.ts';
import { Comparison } from '../../src/page/comparison.ts';
import { placeAfter } from '../../src/page/gridKeys.ts';
import { linesOf, linesWithin } from '../../src/page/gridWindow.ts';
import { clusterOf, pod } from '../helpers/manifests.ts';

const SIZES = { size: 30, gap: 10 };

test('lines of one section lie next to each other, and a gap is before each section', () => {
  const { starts, total, sections } = linesOf(['a', 'a', 'b'], SIZES);
  expect(starts).toEqual([10, 40, 80]);
  expect(total).toBe(110);
  expect(sections).toEqual([
    { name: 'a', first: 0, start: 10, end: 70 },
    { name: 'b', first: 2, start: 80, end: 110 },
  ]);
});

test('the lines in sight are all of which anything is, and the one that has the focus', () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 });
  const place = fc.integer({ min: 0, max: 1500 });
  const agrees = fc.property(names, fc.tuple(place, place), fc.nat(45), (sections, [from, length], kept) => {
    const lines = linesOf(sections, SIZES);
    const within = linesWithin(lines, { from, to: from + length, kept });
    const inSight = lines.starts.flatMap((start, index) =>
      (start + lines.size > from && start <= from + length) || index === kept ? [index] : [],
    );
    expect(within).toEqual(inSight);
  });
  fc.assert(agrees, { numRuns: 500 });
});

test.for([
  { key: 'ArrowDown', to: { row: 6, column: 5 } },
  { key: 'ArrowUp', to: { row: 4, column: 5 } },
  { key: 'ArrowLeft', to: { row: 5, column: 4 } },
  { key: 'ArrowRight', to: { row: 5, column: 6 } },
  { key: 'PageDown', to: { row: 9, column: 5 } },
  { key: 'PageUp', to: { row: 0, column: 5 } },
  { key: 'Home', to: { row: 5, column: 0 } },
  { key: 'End', to: { row: 5, column: 9 } },
  { key: 'Home', ctrlKey: true, to: { row: 0, column: 0 } },
  { key: 'End', ctrlKey: true, to: { row: 9, column: 9 } },
  { key: 'x', to: undefined },
])('$key leads to $to.row, $to.column', ({ key, ctrlKey = false, to }) => {
  expect(placeAfter({ key, ctrlKey }, { row: 5, column: 5 }, { rows: 10, columns: 10, page: 8 })).toEqual(to);
});

const PORTS = [
  { name: 'http', containerPort: 80 },
  { name: 'dns', protocol: 'UDP', containerPort: 53 },
] as const;

const { groups } = new Comparison(
  {
    before: clusterOf([
      pod('shop/web', { labels: { app: 'Web', tier: 'front' }, ports: PORTS }),
      pod('ops/web', { labels: { app: 'other' } }),
      pod('ops/db', { labels: { tier: 'back' }, ports: PORTS.slice(0, 1) }),
    ]),
  },
  {},
);

test.for([
  { search: '', rows: ['ops/db', 'shop/web'] },
  { search: 'shop/', rows: ['shop/web'] },
  { search: 'app=web FRONT', rows: ['shop/web'] },
  { search: 'back', rows: ['ops/db'] },
  { search: 'front back', rows: [] },
])('"$search" is found in names and labels', ({ search, rows }) => {
  const named = (found: readonly { readonly pods: readonly string[] }[]) =>
    found.flatMap(({ pods }) => pods).filter((key) => key !== 'ops/web');
  expect(named(rowsOf(groups, { ...NO_FILTER, from: search }))).toEqual(rows);
  const columns = columnsOf(groups, { ...NO_FILTER, to: search, port: '80/TCP' });
  expect(named(columns.map(({ group }) => group))).toEqual(rows);
});

test('a protocol, a port and namespaces narrow it', () => {
  const portsOf = (port: string) => columnsOf(groups, { ...NO_FILTER, port }).map((column) => column.port.port);
  expect(portsOf('')).toEqual([80, 53, 80]);
  expect(portsOf('UDP')).toEqual([53]);
  expect(portsOf('80/TCP')).toEqual([80, 80]);
  expect(rowsOf(groups, { ...NO_FILTER, namespaces: new Set(['shop']) }).map(({ namespace }) => namespace)).toEqual([
    'shop',
  ]);
  expect(portChoices(groups)).toEqual(['TCP', 'UDP', '53/UDP', '80/TCP']);
  expect(namespacesOf(groups)).toEqual(['ops', 'shop']);
});
