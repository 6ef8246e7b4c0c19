import type { Namespace } from './namespace.ts';
import type { NetworkPolicy } from './networkPolicy.ts';
import type { Pod } from './pod.ts';

export type KubeObject = Namespace | Pod | NetworkPolicy;

/** Everything a verdict depends on: namespaces by name, pods and policies by `namespace/name`. */
export interface Cluster {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly policies: ReadonlyMap<string, NetworkPolicy>;
}
