import { summarize, type Summary } from './statistics.ts';

/** One thing measured in one case. */
export interface Row {
  readonly what: string;
  readonly case: string;
  readonly unit: 'µs' | 'ms' | 's' | '/s' | 'MB' | '% of a core' | 'Gbit/s' | 'pods' | 'members';
  /** In the order in which they were taken. */
  readonly samples: readonly number[];
  /** What it is compared with. */
  readonly against?: Row;
}

/** What a part of the benchmark found. */
export interface Report {
  readonly rows: readonly Row[];
  /** How it was measured, what could not be, and what follows from several rows; a sentence each. */
  readonly notes: readonly string[];
}

/** Returns the report as a Markdown table, the ratio first, and the notes as a list. */
export function markdown({ rows, notes }: Report): string {
  const table = [
    '| ratio | what | case | median | min – max | runs |',
    '| ---: | --- | --- | ---: | ---: | ---: |',
    ...rows.map(line),
  ];
  return [...table, '', ...notes.map((note) => `- ${note}`), ''].join('\n');
}

function line(row: Row): string {
  const { median, min, max, runs } = summarize(row.samples);
  const cells = [
    ratioText(row),
    row.what,
    row.case,
    `${number(median)} ${row.unit}`,
    `${number(min)} – ${number(max)}`,
    runs,
  ];
  return `| ${cells.join(' | ')} |`;
}

function ratioText({ what, samples, case: ownCase, against }: Row): string {
  if (against === undefined) return '';
  const ratio = summarize(samples).median / summarize(against.samples).median;
  const other = otherText(against, { what, case: ownCase });
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)} × ${other}` : `no ratio to ${other}`;
}

/** What the reader does not see in the same line. */
function otherText(against: Row, own: Pick<Row, 'what' | 'case'>): string {
  if (against.case === own.case) return against.what;
  return against.what === own.what ? against.case : `${against.what}, ${against.case}`;
}

/** Three digits that count. */
function number(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

/** A row as it stands in `bench/results/*.json`. */
export interface JsonRow extends Summary, Omit<Row, 'against'> {
  readonly against?: { readonly what: string; readonly case: string; readonly ratio: number };
}

/** Returns the rows for the file of results, summaries beside samples. */
export function jsonRows({ rows }: Report): readonly JsonRow[] {
  return rows.map(({ against, ...row }) => {
    const summary = summarize(row.samples);
    if (against === undefined) return { ...row, ...summary };
    const ratio = summary.median / summarize(against.samples).median;
    return { ...row, ...summary, against: { what: against.what, case: against.case, ratio } };
  });
}
