import { expect } from 'vitest';
import type { Target } from '../lab/probe.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Sandbox } from './sandbox.ts';

/** Returns what becomes of one try to each of the pods' addresses, which answer if they run `LISTEN`. */
export async function outcomes(client: LabPod, pods: readonly Sandbox[]): Promise<readonly string[]> {
  const addresses = await Promise.all(pods.map(async (pod) => pod.addresses()));
  const targets = addresses.flat().map((address): Target => ({ address, port: 80, protocol: 'TCP' }));
  return (await client.probe.dial(targets)).map(({ outcome }) => outcome);
}

/** Returns a container's command that listens as `LISTEN` does, and connects to every address, in a loop each, and prints how it went. */
export function connecting(addresses: readonly string[]): readonly string[] {
  const loops = addresses.map(
    (address) =>
      `while :; do if nc -w 2 ${address} 80 </dev/null >/dev/null 2>&1; then echo ${address} open; else echo ${address} closed; fi; done &`,
  );
  return ['/bin/sh', '-c', `${loops.join('\n')}\nexec nc -ll -p 80 -e /bin/answer`];
}

/** A pod that runs `connecting`. */
export interface Talker {
  readonly addresses: readonly string[];
  output(): readonly string[];
}

/** Returns how it goes between a client and a pod, in either direction and at all addresses: `in open` or the like, each different one. */
export async function bothWays(
  client: LabPod,
  pod: Talker,
  options: { readonly since?: number } = {},
): Promise<readonly string[]> {
  const targets = pod.addresses.map((address): Target => ({ address, port: 80, protocol: 'TCP' }));
  const inward = (await client.probe.dial(targets)).map(({ outcome }) => `in ${outcome}`);
  const outward = [...(await tries(pod, options))].map((line) => line.replace(/^.* /, 'out '));
  return [...new Set([...inward, ...outward])];
}

export const BOTH_OPEN: readonly string[] = ['in open', 'out open'];
export const BOTH_CLOSED: readonly string[] = ['in refused', 'out closed'];

/** Returns each different line that a container with `connecting` prints from now on, once it has tried every address often enough. */
export async function tries(
  pod: Pick<Talker, 'output'>,
  { since = pod.output().length }: { readonly since?: number } = {},
): Promise<ReadonlySet<string>> {
  const lines = () => pod.output().slice(since);
  await expect.poll(() => lines().length, { timeout: 10_000, interval: 20 }).toBeGreaterThan(200);
  return new Set(lines());
}
