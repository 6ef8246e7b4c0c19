import { objectKey } from '../kube/pod.ts';
import { idOf, type AttachedPod } from '../rules/pod.ts';

/** Since when pods are quarantined, as far as this agent knows. */
export class QuarantineTimes {
  #since: ReadonlyMap<string, { readonly pod: string; readonly at: number }> = new Map();

  /** Takes a new look; `now` in milliseconds. */
  update(pods: readonly AttachedPod[], now: number): void {
    const quarantined = pods.filter(isQuarantined);
    if (quarantined.length === 0 && this.#since.size === 0) return;
    this.#since = new Map(
      quarantined.map(({ hooks }) => {
        const id = idOf(hooks);
        return [id, this.#since.get(id) ?? { pod: objectKey(hooks), at: now }];
      }),
    );
  }

  /** Returns the times, ISO 8601, by pod. */
  byPod(): Readonly<Record<string, string>> {
    const times = [...this.#since.values()].map(({ pod, at }) => [pod, new Date(at).toISOString()] as const);
    return Object.fromEntries(times);
  }
}

/** Tells whether a pod is refused everything, one way at least, because it is not known who it is. */
export function isQuarantined({ judgements }: AttachedPod): boolean {
  return judgements?.ingress.kind === 'quarantine' || judgements?.egress.kind === 'quarantine';
}
