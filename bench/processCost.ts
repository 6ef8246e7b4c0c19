import { readFileSync } from 'node:fs';

/** sysconf(_SC_CLK_TCK), which Linux has fixed for programs. */
const TICKS_PER_SECOND = 100;

/** Returns the processor time of a process and of the programs that it ran and that have ended, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): after the name in parentheses the third field comes first; utime, stime, cutime and cstime are the 14th to 17th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(14 - 3, 18 - 3).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

/** Returns what a process has in memory, in MB; `peak`: at most so far. */
export function residentMegabytes(pid: number, { peak = false }: { readonly peak?: boolean } = {}): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes = ''] = (peak ? /^VmHWM:\s+(\d+) kB$/m : /^VmRSS:\s+(\d+) kB$/m).exec(status) ?? [];
  return Number(kilobytes) / 1024;
}
