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

/** Lines of /proc/PID/status: what a process has in memory, the part of it that is no file's and that nobody shares, and the most it ever had. */
export type Memory = 'VmRSS' | 'RssAnon' | 'VmHWM';

/** Returns what a process has in memory, in MB. */
export function residentMegabytes(pid: number, which: Memory = 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes = ''] = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return Number(kilobytes) / 1024;
}
