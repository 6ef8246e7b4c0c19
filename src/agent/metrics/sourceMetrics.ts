import { Counter, Gauge, Histogram } from 'prom-client';
import type { Cluster, ClusterChanges } from '../../kube/cluster.ts';
import { printable } from '../../net/quote.ts';
import { addGauge, DURATION_BUCKETS, PREFIX, type Group } from './group.ts';

const KINDS = {
  namespaces: 'Namespace',
  pods: 'Pod',
  policies: 'NetworkPolicy',
} as const satisfies Record<keyof Cluster, string>;

/** Each is a time series for as long as it lasts, and who writes manifests decides how many there are, and what they are called. */
const MOST_PROBLEMS = 20;
const LONGEST_LABEL = 200;

/** What is heard of the source, and how soon the kernel knows. */
export class SourceMetrics {
  readonly #changes: Counter<'kind'>;
  readonly #lag: Histogram;

  constructor(group: Group) {
    const registers = [group.registry];
    this.#changes = new Counter({
      name: `${PREFIX}source_changes_total`,
      help: 'Objects that came, changed or went; what changes again before it was looked at counts once',
      labelNames: ['kind'],
      registers,
    });
    for (const kind of Object.values(KINDS)) this.#changes.inc({ kind }, 0);
    this.#lag = new Histogram({
      name: `${PREFIX}source_lag_seconds`,
      help: 'From the moment when a change was heard to when the kernel had taken all of it, each time something was written',
      buckets: [...DURATION_BUCKETS],
      registers,
    });
    addGauges(group);
    addProblems(group);
  }

  /** These objects changed. */
  changed(changes: ClusterChanges): void {
    for (const [field, kind] of Object.entries(KINDS)) {
      const { size } = changes[field as keyof Cluster];
      if (size > 0) this.#changes.inc({ kind }, size);
    }
  }

  /** What was heard so many seconds ago is in the kernel. */
  written(seconds: number): void {
    this.#lag.observe(seconds);
  }
}

function addGauges(group: Group): void {
  addGauge(group, {
    name: 'source_in_sync',
    help: 'Whether everything was listed at least once',
    value: ({ source }) => Number(source.inSync),
  });
  addGauge(group, {
    name: 'source_away_since_timestamp_seconds',
    help: 'Since when the source cannot be reached, in Unix time; 0 while it can',
    value: ({ source }) => (source.away === undefined ? 0 : Date.parse(source.away.since) / 1000),
  });
  addGauge(group, { name: 'policies', help: 'NetworkPolicies in the source', value: ({ policies }) => policies });
  addGauge(group, {
    name: 'source_problems',
    help: 'Files or objects of the source that cannot be used; their last good content is in force',
    value: ({ source }) => source.problems.length,
  });
}

function addProblems({ registry, status }: Group): void {
  const problems = new Gauge({
    name: `${PREFIX}source_problem`,
    help: `Where they are, ${MOST_PROBLEMS} of them at most: always 1`,
    labelNames: ['where', 'line'],
    registers: [registry],
    collect: () => {
      problems.reset();
      for (const { where, line } of status().source.problems.slice(0, MOST_PROBLEMS))
        problems.set({ where: printable(where).slice(0, LONGEST_LABEL), line: line ?? '' }, 1);
    },
  });
}
