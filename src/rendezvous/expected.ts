import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import type { PodJudgements } from '../rules/pod.ts';
import { isMissing, listNames, readJsonIfAny } from '../files/readIfAny.ts';
import { writeFileWhole } from '../files/writeWhole.ts';

/** What the agent expects of a pod of this node: who it is and where it is judged. The profiles named are in the kernel already. */
export interface ExpectedPod {
  readonly namespace: string;
  readonly name: string;
  /** The identities under which the runtime may name this pod; empty when the source does not tell one: then any fits. */
  readonly uids: readonly string[];
  readonly judgements: PodJudgements;
}

/** Writes what is expected of a pod. Throws the file system's error. */
export function writeExpected(runtimeDir: string, pod: ExpectedPod): void {
  mkdirSync(`${runtimeDir}/expected/${pod.namespace}`, { recursive: true, mode: 0o700 });
  writeFileWhole(`${runtimeDir}/expected/${pod.namespace}/${pod.name}`, JSON.stringify(pod));
}

/** Returns what is expected of a pod, or `undefined` when the agent does not know it yet. */
export function readExpected(
  runtimeDir: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): ExpectedPod | undefined {
  return (readJsonIfAny(`${runtimeDir}/expected/${namespace}/${name}`) as ExpectedPod | null | undefined) ?? undefined;
}

/** Forgets a pod that this node no longer expects. Throws the file system's error. */
export function removeExpected(
  runtimeDir: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): void {
  const directory = `${runtimeDir}/expected/${namespace}`;
  rmSync(`${directory}/${name}`, { force: true });
  removeIfEmpty(directory);
}

/** Namespaces come and go as pods do: a directory of each that there ever was would fill the tmpfs. */
function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!isMissing(error) && !isFilled(error)) throw error;
  }
}

function isFilled(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY';
}

/** Returns the keys `namespace/name` of all pods that are expected. */
export function listExpected(runtimeDir: string): readonly string[] {
  return listNames(`${runtimeDir}/expected`).flatMap((namespace) =>
    listNames(`${runtimeDir}/expected/${namespace}`).map((name) => `${namespace}/${name}`),
  );
}
