import { monotonicMs, pause } from '../dataplane/pause.ts';
import { isAcknowledged, isRecorded } from '../rendezvous/attachment.ts';
import { readExpected } from '../rendezvous/expected.ts';
import { readHeartbeat } from '../rendezvous/heartbeat.ts';
import type { AttachmentId, PodJudgements } from '../rules/pod.ts';
import type { PodIdentity } from './args.ts';

// A look takes some 50 µs.
const LOOK_EVERY_MS = 1;

/** How long ADD waits for the agent, in all: until a time on the monotonic clock, and only while there is an agent. */
export interface Patience {
  readonly runtimeDir: string;
  readonly until: number;
}

/** Returns what the agent expects of a pod, waiting for it, or `undefined` when it does not come. */
export function awaitExpected(pod: PodIdentity, patience: Patience): PodJudgements | undefined {
  return lookUntil(patience, () => expectedJudgements(pod, patience.runtimeDir));
}

/** Tells whether the agent has acknowledged an attachment, waiting for it; one that a DEL has taken away meanwhile never will be. */
export function awaitAcknowledgement(id: AttachmentId, patience: Patience): boolean {
  const { runtimeDir } = patience;
  const look = () => isAcknowledged(runtimeDir, id) || (isRecorded(runtimeDir, id) ? undefined : false);
  return lookUntil(patience, look) ?? false;
}

/**
 * Returns what the agent expects of a pod now. Another identity than the one of CNI_ARGS means that the agent does not know this pod yet, or no
 * longer: a pod was made again under its name.
 */
export function expectedJudgements(
  { namespace, name, uid }: PodIdentity,
  runtimeDir: string,
): PodJudgements | undefined {
  const expected = readExpected(runtimeDir, { namespace, name });
  if (expected === undefined) return undefined;
  const fits = uid === undefined || expected.uids.length === 0 || expected.uids.includes(uid);
  return fits ? expected.judgements : undefined;
}

function lookUntil<T>({ runtimeDir, until }: Patience, look: () => T | undefined): T | undefined {
  for (;;) {
    const seen = look();
    if (seen !== undefined || monotonicMs() >= until || readHeartbeat(runtimeDir) === undefined) return seen;
    pause(LOOK_EVERY_MS);
  }
}
