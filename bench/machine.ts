import { cpus, loadavg, release } from 'node:os';
import { version } from 'node:process';

/** What the figures were taken on. */
export interface Machine {
  readonly processors: string;
  readonly kernel: string;
  readonly node: string;
}

export function machine(): Machine {
  const all = cpus();
  return { processors: `${all.length} × ${all[0]?.model ?? 'unknown'}`, kernel: release(), node: version };
}

/** Returns how many processes wanted a processor, on the average of the last minute. */
export function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}
