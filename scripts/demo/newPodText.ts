import type { HammeredPod, HammerCounts, PartCounts } from './newPod.ts';

const PARTS = [
  { part: 'beforeAdd', title: 'before ADD' },
  { part: 'duringAdd', title: 'during ADD' },
  { part: 'afterAdd', title: 'after ADD' },
  { part: 'onceAllowed', title: 'once allowed' },
] as const satisfies readonly { readonly part: keyof PartCounts; readonly title: string }[];

const LABEL_WIDTH = 28;
const COLUMN_WIDTH = 14;

/** Returns the hammering as a table: of each protocol what was tried and what got through, part of the time by part. */
export function newPodText({ counts }: HammeredPod): readonly string[] {
  return [
    row(
      '',
      PARTS.map(({ title }) => title),
    ),
    ...counts.flatMap(({ protocol, tried, gotThrough }) => [
      row(protocol === 'TCP' ? 'TCP, a new connection each' : 'UDP, all from one port', numbers(tried)),
      row('  got through', numbers(gotThrough)),
    ]),
  ];
}

function row(label: string, columns: readonly string[]): string {
  return `${label.padEnd(LABEL_WIDTH)}${columns.map((column) => column.padStart(COLUMN_WIDTH)).join('')}`;
}

function numbers(counts: PartCounts): readonly string[] {
  return PARTS.map(({ part }) => String(counts[part]));
}

/** Returns how many connections and datagrams got through before the policy that allows them was written. */
export function gotThroughTooEarly(counts: readonly HammerCounts[]): number {
  return counts.reduce(
    (sum, { gotThrough: { beforeAdd, duringAdd, afterAdd } }) => sum + beforeAdd + duringAdd + afterAdd,
    0,
  );
}

/** Returns why the hammering proves nothing, a line for each reason: a hammer that was not there at the time, or never gets through. */
export function weaknesses(counts: readonly HammerCounts[]): readonly string[] {
  return counts.flatMap(({ protocol, tried, gotThrough }) => [
    ...PARTS.filter(({ part }) => tried[part] === 0).map(({ title }) => `${protocol}: nothing was tried ${title}`),
    ...(gotThrough.onceAllowed === 0 ? [`${protocol}: nothing got through once allowed`] : []),
  ]);
}
