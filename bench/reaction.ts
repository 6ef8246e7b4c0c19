import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs, type Probe } from '../test/lab/probe.ts';

/** A connection that is tried again and again. */
export interface Tried {
  readonly from: Probe;
  readonly address: string;
}

const PATIENCE_MS = 30_000;

/**
 * Makes a change and returns the milliseconds until a connection was judged by it: until the end of the first try that came out as `wanted`, so
 * that the time of one try, about a millisecond, is in the figure. `change` returns when the change was.
 */
export async function reaction(
  { from, address }: Tried,
  { change, wanted }: { readonly change: () => Promise<number>; readonly wanted: 'open' | 'refused' },
): Promise<number> {
  const target = { address, port: 80, protocol: 'TCP' } as const;
  const changed = change();
  for (const end = monotonicMs() + PATIENCE_MS; monotonicMs() < end;) {
    const [result] = await from.dial([target], { timeoutMs: 1000 });
    if (result?.outcome === wanted) return monotonicMs() - (await changed);
    await sleep(0);
  }
  throw new Error(`Cannot measure: ${address} is not ${wanted} ${PATIENCE_MS / 1000} s after the change`);
}
