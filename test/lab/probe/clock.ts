/** Returns milliseconds of CLOCK_MONOTONIC, with a fraction: the same clock in every process and namespace of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
