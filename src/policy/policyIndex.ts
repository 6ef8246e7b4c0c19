import type { NetworkPolicy } from '../kube/networkPolicy.ts';
import { namespaceOf } from '../kube/pod.ts';
import type { Labels } from '../kube/labels.ts';
import { selects } from './selector.ts';

/** The policies, by namespace. */
export class PolicyIndex {
  readonly #byNamespace = new Map<string, Map<string, NetworkPolicy>>();

  /** Puts a policy, or with `undefined` nothing, under its key. */
  set(key: string, policy: NetworkPolicy | undefined): void {
    const namespace = namespaceOf(key);
    const policies = this.#byNamespace.get(namespace) ?? new Map<string, NetworkPolicy>();
    if (policy === undefined) policies.delete(key);
    else policies.set(key, policy);
    if (policies.size === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, policies);
  }

  /** Returns the policies that select pods with these labels in a namespace, by key. */
  selecting(namespace: string, labels: Labels): Map<string, NetworkPolicy> {
    const policies = [...(this.#byNamespace.get(namespace) ?? [])];
    return new Map(policies.filter(([, { podSelector }]) => selects(podSelector, labels)));
  }
}
