import type { Cluster, ClusterChanges } from '../src/kube/cluster.ts';
import { decodeObjects } from '../src/kube/decode.ts';
import type { Namespace } from '../src/kube/namespace.ts';
import type { NetworkPolicy } from '../src/kube/networkPolicy.ts';
import { objectKey, type Pod } from '../src/kube/pod.ts';
import type { Manifest } from '../test/lab/manifests.ts';

/** A cluster that changes in place, as a source's does. */
export interface LiveCluster extends Cluster {
  readonly namespaces: Map<string, Namespace>;
  readonly pods: Map<string, Pod>;
  readonly policies: Map<string, NetworkPolicy>;
}

/** Returns a cluster of these objects, which are taken one after the other: they are larger than what is kept of them. */
export function clusterFrom(manifests: Iterable<Manifest>): LiveCluster {
  const cluster: LiveCluster = { namespaces: new Map(), pods: new Map(), policies: new Map() };
  for (const manifest of manifests) put(cluster, manifest);
  return cluster;
}

/** Puts an object in the place of the one of its kind and name. Returns what that changes. */
export function put(cluster: LiveCluster, manifest: Manifest): ClusterChanges {
  const [object] = decodeObjects(manifest);
  switch (object?.kind) {
    case 'Namespace':
      cluster.namespaces.set(object.name, object);
      return { ...NOTHING, namespaces: new Set([object.name]) };
    case 'Pod':
      cluster.pods.set(objectKey(object), object);
      return { ...NOTHING, pods: new Set([objectKey(object)]) };
    case 'NetworkPolicy':
      cluster.policies.set(objectKey(object), object);
      return { ...NOTHING, policies: new Set([objectKey(object)]) };
    case undefined:
      throw new Error(`Cannot use a made-up object: ${manifest.kind} is not read`);
  }
}

const NOTHING: ClusterChanges = { namespaces: new Set(), pods: new Set(), policies: new Set() };
