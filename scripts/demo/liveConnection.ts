import { setTimeout as sleep } from 'node:timers/promises';
import type { LabPod } from '../../test/lab/pod.ts';

export interface CutConnection {
  /** `reset` if it was ended by a TCP reset; `undefined` if it still lives. */
  readonly how: string | undefined;
  /** From the deletion of the policy to the end of the connection. */
  readonly milliseconds: number;
  /** Bytes that came back before the end. */
  readonly echoed: number;
}

/** Holds a TCP connection open with an echo every few milliseconds while `forbid` deletes the policy that allows it, and returns its end. */
export async function cutConnection(
  { client, address }: { readonly client: LabPod; readonly address: string },
  forbid: () => Promise<number>,
): Promise<CutConnection> {
  const stream = await client.probe.openStream({ address, port: 80, protocol: 'TCP' }, { kind: 'echo' });
  await sleep(400);
  const forbiddenAt = await forbid();
  const end = await stream.waitForEnd({ timeoutMs: 3000 });
  const { received } = await stream.state();
  return { how: end?.how, milliseconds: (end?.at ?? 0) - forbiddenAt, echoed: received };
}
