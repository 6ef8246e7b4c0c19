const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** Stops the whole process for a time: the plugin has nothing else to do meanwhile. */
export function pause(milliseconds: number): void {
  Atomics.wait(NEVER, 0, 0, milliseconds);
}

/** Returns milliseconds on a clock that nobody sets. */
export function monotonicMs(): number {
  return process.uptime() * 1000;
}
