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

/** A cluster without objects. */
export const NO_OBJECTS: Cluster = { namespaces: new Map(), pods: new Map(), policies: new Map() };

/** The keys of the objects that came, changed or went, by kind as in `Cluster`. */
export type ClusterChanges = { readonly [Kind in keyof Cluster]: ReadonlySet<string> };

/** Returns what differs between two states of a cluster. Objects are compared by identity. */
export function changesBetween(before: Cluster, after: Cluster): ClusterChanges {
  return {
    namespaces: keysThatDiffer(before.namespaces, after.namespaces),
    pods: keysThatDiffer(before.pods, after.pods),
    policies: keysThatDiffer(before.policies, after.policies),
  };
}

function keysThatDiffer(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): ReadonlySet<string> {
  if (before === after) return new Set();
  const changed = new Set<string>();
  for (const [key, object] of after) if (before.get(key) !== object) changed.add(key);
  for (const key of before.keys()) if (!after.has(key)) changed.add(key);
  return changed;
}
