import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { objectKey, type Pod } from '../kube/pod.ts';

/** Returns the cluster as it would be if these objects were applied to it: each takes the place of the one of its kind and name. */
export function applied(cluster: Cluster, objects: readonly KubeObject[]): Cluster {
  const namespaces = new Map(cluster.namespaces);
  const pods = new Map(cluster.pods);
  const policies = new Map(cluster.policies);
  for (const object of objects) {
    switch (object.kind) {
      case 'Namespace':
        namespaces.set(object.name, object);
        break;
      case 'Pod':
        pods.set(objectKey(object), withStatus(object, pods.get(objectKey(object))));
        break;
      case 'NetworkPolicy':
        policies.set(objectKey(object), object);
        break;
    }
  }
  return { namespaces, pods, policies };
}

// Who applies a pod says nothing of its node and addresses: those it keeps.
function withStatus(pod: Pod, present: Pod | undefined): Pod {
  if (present === undefined) return pod;
  return {
    ...pod,
    nodeName: pod.nodeName ?? present.nodeName,
    addresses: pod.addresses.length > 0 ? pod.addresses : present.addresses,
  };
}
