import type { Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';

/** Returns what of a cluster is in audit mode: `namespace NAME`, `policy NAMESPACE/NAME`. */
export function auditedIn({ namespaces, policies }: Cluster): readonly string[] {
  const audited = <T extends { readonly audit?: true }>(objects: ReadonlyMap<string, T>) =>
    [...objects.values()].filter(({ audit }) => audit === true);
  return [
    ...audited(namespaces).map(({ name }) => `namespace ${name}`),
    ...audited(policies).map((policy) => `policy ${objectKey(policy)}`),
  ].toSorted();
}
