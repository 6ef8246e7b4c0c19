import type { Cluster } from '../kube/cluster.ts';
import { isFinished, type Pod } from '../kube/pod.ts';
import { listExpected, removeExpected, writeExpected, type ExpectedPod } from '../rendezvous/expected.ts';
import type { PodJudgements } from '../rules/pod.ts';
import type { WantedPolicy } from '../rules/wanted.ts';
import { uidsOf } from './localPods.ts';

/** The files that tell the plugin what to do with a pod of this node, kept in step with what the kernel holds. */
export class ExpectedPods {
  readonly #runtimeDir: string;
  #written: ReadonlyMap<string, Written> | undefined;

  constructor(runtimeDir: string) {
    this.#runtimeDir = runtimeDir;
  }

  /**
   * Writes what changed. Every pod that may yet be attached is expected, and one that is attached stays so: a runtime makes a new sandbox for
   * the same pod when the old one dies. Throws the file system's error.
   */
  update(cluster: Cluster, { judgements }: WantedPolicy): void {
    const known = this.#written ?? new Map<string, Written>();
    // What an earlier agent expected is of no use: its profiles may be gone.
    const left = new Set(this.#written === undefined ? listExpected(this.#runtimeDir) : known.keys());
    this.#written = undefined;
    const written = new Map<string, Written>();
    for (const [key, judged] of judgements) {
      const pod = cluster.pods.get(key);
      if (pod === undefined || isFinished(pod)) continue;
      written.set(key, this.#write({ pod, judged, before: known.get(key) }));
      left.delete(key);
    }
    for (const key of left) removeExpected(this.#runtimeDir, splitKey(key));
    this.#written = written;
  }

  #write({ pod, judged, before }: Omit<Written, 'text'> & { readonly before: Written | undefined }): Written {
    if (before?.pod === pod && before.judged === judged) return before;
    const { namespace, name } = pod;
    const expected: ExpectedPod = { namespace, name, uids: uidsOf(pod), judgements: judged };
    const text = JSON.stringify(expected);
    if (text !== before?.text) writeExpected(this.#runtimeDir, expected);
    return { pod, judged, text };
  }
}

/** What stands in a pod's file, and what it was made of. */
interface Written {
  readonly pod: Pod;
  readonly judged: PodJudgements;
  readonly text: string;
}

function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}
