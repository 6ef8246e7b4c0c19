import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../lab/daemon.ts';
import { monotonicMs } from '../lab/probe.ts';

/** Waits until something is so, and returns whether it became so. Sooner than the agent takes a thorough look, which it does every 15 s. */
export async function becomes(condition: () => Promise<boolean>): Promise<boolean> {
  const deadline = monotonicMs() + 10_000;
  for (;;) {
    if (await condition()) return true;
    if (monotonicMs() > deadline) return false;
    await sleep(150);
  }
}

/** Returns how often an agent has told so far that it put something right. */
export function repairsToldBy(agent: Daemon): number {
  return agent.log().split('Put right what others had changed').length - 1;
}
