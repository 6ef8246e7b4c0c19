import { Counter, Histogram } from 'prom-client';
import { isReady } from '../ready.ts';
import { addGauge, DURATION_BUCKETS, PREFIX, type Group } from './group.ts';

/** Who refused: a program of the kernel's, or the file system and all else. */
export type Refuser = 'kernel' | 'other';

/** What becomes of this node's rules and sets. */
export class KernelMetrics {
  readonly #syncs: Histogram;
  readonly #errors: Counter<'cause'>;
  readonly #repairs: Counter;

  constructor(group: Group) {
    const registers = [group.registry];
    this.#syncs = new Histogram({
      name: `${PREFIX}sync_duration_seconds`,
      help: 'How long it took to bring the kernel up to date, each time something was written',
      buckets: [...DURATION_BUCKETS],
      registers,
    });
    this.#errors = new Counter({
      name: `${PREFIX}sync_errors_total`,
      help: 'How often the kernel, or something else such as the runtime directory, refused; it is tried again at once',
      labelNames: ['cause'],
      registers,
    });
    for (const cause of ['kernel', 'other'] as const) this.#errors.inc({ cause }, 0);
    this.#repairs = new Counter({
      name: `${PREFIX}repairs_total`,
      help: 'How often our rules or sets were found changed by others and put right',
      registers,
    });
    addGauges(group);
  }

  /** Something was written; it took so many seconds. */
  synced(seconds: number): void {
    this.#syncs.observe(seconds);
  }

  /** A pass failed. */
  refused(cause: Refuser): void {
    this.#errors.inc({ cause });
  }

  /** What others had changed was put right. */
  repaired(): void {
    this.#repairs.inc();
  }
}

function addGauges(group: Group): void {
  addGauge(group, {
    name: 'ready',
    help: 'Whether the kernel holds what the source holds',
    value: (status) => Number(isReady(status)),
  });
  addGauge(group, {
    name: 'last_sync_timestamp_seconds',
    help: 'When the kernel was last changed, in Unix time; 0 before the first time',
    value: ({ lastSync }) => (lastSync === undefined ? 0 : Date.parse(lastSync.at) / 1000),
  });
  addGauge(group, {
    name: 'generation',
    help: 'The newest generation of judgements',
    value: ({ generation }) => generation,
  });
  addGauge(group, { name: 'sets', help: 'Sets of ours in the kernel', value: ({ kernel }) => kernel.sets });
  addGauge(group, {
    name: 'chains',
    help: 'Chains of ours in the kernel, in one family',
    value: ({ kernel }) => kernel.chains,
  });
}
