import { rmSync, statSync } from 'node:fs';
import { isMissing, readFileIfAny, readJsonIfAny } from '../files/readIfAny.ts';
import { writeFileWhole } from '../files/writeWhole.ts';

/** How often a live agent renews its heartbeat, and how old it may be before the agent counts as away, in milliseconds. */
export const HEARTBEAT_PERIOD_MS = 1000;
const HEARTBEAT_LIMIT_MS = 5000;

/** What a live agent tells about itself. */
export interface Heartbeat {
  readonly pid: number;
  readonly backend: string;
}

/** Renews the heartbeat. Only an agent whose source is in sync does. */
export function beat(runtimeDir: string, heartbeat: Heartbeat): void {
  writeFileWhole(`${runtimeDir}/agent`, JSON.stringify(heartbeat));
  if (!wasInSync(runtimeDir)) writeFileWhole(`${runtimeDir}/synced`, '');
}

/** Tells whether any agent has been in sync on this node since it booted. */
export function wasInSync(runtimeDir: string): boolean {
  return readFileIfAny(`${runtimeDir}/synced`) !== undefined;
}

/** Returns what the agent tells, or `undefined` when it is away. */
export function readHeartbeat(runtimeDir: string): Heartbeat | undefined {
  try {
    // Either way: a clock that was set back leaves the file of a dead agent in the future.
    const age = Math.abs(Date.now() - statSync(`${runtimeDir}/agent`).mtimeMs);
    const heartbeat = age < HEARTBEAT_LIMIT_MS ? readJsonIfAny(`${runtimeDir}/agent`) : undefined;
    return (heartbeat as Heartbeat | null | undefined) ?? undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Ends the heartbeat: from now on the agent is away. */
export function endHeartbeat(runtimeDir: string): void {
  rmSync(`${runtimeDir}/agent`, { force: true });
}
