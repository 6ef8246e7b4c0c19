import { readFileSync } from 'node:fs';

/** A metric as docs/metrics.md lists it. */
export interface PageMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** Returns what the page lists, by name: each row of its tables is ``| `name` | type | `label` `label` | meaning |``. */
export function metricsPage(): readonly PageMetric[] {
  const page = readFileSync('docs/metrics.md', 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (counter|gauge|histogram|summary) +\| ([^|]*)\|/gm)];
  return rows
    .map(([, name = '', type = '', labels = '']) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted(),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
