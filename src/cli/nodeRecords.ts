import { isBackend, type Backend } from '../dataplane/backend.ts';
import { quote } from '../net/quote.ts';
import type { Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';
import { readAttachments } from '../rendezvous/attachment.ts';
import { readBackendChoice } from '../rendezvous/backendChoice.ts';
import type { PodHooks } from '../rules/pod.ts';
import { NoAnswerError } from './objects.ts';

/** What plugin and agent have put on record of a node. */
export interface NodeRecords {
  readonly backend: Backend;
  /** The pods that the plugin has hooked in. */
  readonly pods: readonly PodHooks[];
}

/** Reads the records of this node. Throws a NoAnswerError that says what to do where they cannot be had. */
export function readNodeRecords(runtimeDir: string): NodeRecords {
  const backend = orRefused(runtimeDir, () => readBackendChoice(runtimeDir));
  if (!isBackend(backend))
    throw new NoAnswerError(
      `Cannot look into the kernel: ${quote(runtimeDir)} tells of no agent that was ever started; give the --runtime-dir that it was given`,
    );
  return { backend, pods: orRefused(runtimeDir, () => readAttachments(runtimeDir)) };
}

function orRefused<T>(runtimeDir: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const advice = error.code === 'EACCES' ? '; run this as root' : '';
    throw new NoAnswerError(
      `Cannot look into the kernel: ${quote(runtimeDir)} cannot be read: ${String(error.code)}${advice}`,
      {
        cause: error,
      },
    );
  }
}

/** Returns the cluster with the addresses that its pods have on this node, where they are on record: manifests mostly tell none. */
export function withRecordedAddresses(cluster: Cluster, pods: readonly PodHooks[]): Cluster {
  const recorded = Map.groupBy(pods, objectKey);
  return {
    ...cluster,
    pods: new Map(
      [...cluster.pods].map(([key, pod]) => {
        const addresses = recorded.get(key)?.flatMap((hooks) => hooks.addresses);
        return [key, addresses === undefined || pod.hostNetwork ? pod : { ...pod, addresses }] as const;
      }),
    ),
  };
}
