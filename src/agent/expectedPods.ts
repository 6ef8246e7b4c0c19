import type { Cluster } from '../kube/cluster.ts';
import { isFinished, objectKey } from '../kube/pod.ts';
import { listExpected, removeExpected, writeExpected, type ExpectedPod } from '../rendezvous/expected.ts';
import type { WantedPolicy } from '../rules/wanted.ts';
import { uidsOf } from './localPods.ts';

/** The files that tell the plugin what to do with a pod of this node, kept in step with what the kernel holds. */
export class ExpectedPods {
  readonly #runtimeDir: string;
  #written: ReadonlyMap<string, string> | undefined;

  constructor(runtimeDir: string) {
    this.#runtimeDir = runtimeDir;
  }

  /**
   * Writes what changed. Every pod that may yet be attached is expected, and one that is attached stays so: a runtime makes a new sandbox for
   * the same pod when the old one dies. Throws the file system's error.
   */
  update(cluster: Cluster, { judgements }: WantedPolicy): void {
    const wanted = new Map<string, ExpectedPod>();
    for (const [key, judgement] of judgements) {
      const pod = cluster.pods.get(key);
      if (pod === undefined || isFinished(pod)) continue;
      wanted.set(key, { namespace: pod.namespace, name: pod.name, uids: uidsOf(pod), judgements: judgement });
    }
    // What an earlier agent expected is of no use: its profiles may be gone.
    const known = this.#written ?? new Map(listExpected(this.#runtimeDir).map((key) => [key, '']));
    this.#written = undefined;
    for (const key of known.keys()) if (!wanted.has(key)) removeExpected(this.#runtimeDir, splitKey(key));
    const written = new Map<string, string>();
    for (const [key, pod] of wanted) {
      const text = JSON.stringify(pod);
      if (known.get(key) !== text) writeExpected(this.#runtimeDir, pod);
      written.set(objectKey(pod), text);
    }
    this.#written = written;
  }
}

function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}
