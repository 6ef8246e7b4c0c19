import type { Report } from './report.ts';

/** What is asked of a part. */
export interface BenchOptions {
  /** Every size, however long it takes. */
  readonly full: boolean;
  /** Tells people what is going on; never part of a result. */
  readonly say: (text: string) => void;
}

/** A part of the benchmark: measures, and returns what it found. */
export type Part = (options: BenchOptions) => Promise<Report>;
