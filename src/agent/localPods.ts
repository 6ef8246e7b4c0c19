import type { Cluster } from '../kube/cluster.ts';
import { isFinished, objectKey, type Pod } from '../kube/pod.ts';
import type { Attachment } from '../rendezvous/attachment.ts';
import { idOf } from '../rules/pod.ts';

/** The cluster as this node knows it, and whose each attachment is. */
export interface LocalView {
  /** The source's cluster with the attachments' addresses in place of the API's for local pods. */
  readonly cluster: Cluster;
  /** The key of each attachment's pod, by the attachment's id; one that is missing belongs to a pod that the source does not show. */
  readonly podOf: ReadonlyMap<string, string>;
  /** The node's pods that run with addresses which no record tells: they were there before the plugin was. */
  readonly unrecorded: readonly Pod[];
}

export interface LocalFacts {
  readonly nodeName: string;
  readonly attachments: readonly Attachment[];
  /** Keys of the node's pods that were attached and are not any more. */
  readonly detached: ReadonlySet<string>;
}

/**
 * Returns the cluster with the addresses that local pods really have. A record wins over the API, which tells of an address late, and after a
 * restart of the node still shows the old one; an address that a record gives to one pod is no other's, and a detached pod has none.
 */
export function localView(cluster: Cluster, { nodeName, attachments, detached }: LocalFacts): LocalView {
  const podOf = new Map<string, string>();
  const addresses = new Map<string, readonly string[]>();
  for (const attachment of attachments) {
    const key = objectKey(attachment);
    const pod = cluster.pods.get(key);
    if (pod === undefined || pod.hostNetwork || pod.nodeName !== nodeName || !isSame(pod, attachment)) continue;
    podOf.set(idOf(attachment), key);
    addresses.set(key, [...(addresses.get(key) ?? []), ...attachment.addresses]);
  }
  const recorded = new Set(attachments.flatMap((attachment) => attachment.addresses));
  const addressesOf = (key: string, pod: Pod): readonly string[] => {
    if (pod.hostNetwork) return pod.addresses;
    if (pod.nodeName === nodeName && detached.has(key)) return [];
    return addresses.get(key) ?? withoutAny(pod.addresses, recorded);
  };
  const pods = new Map<string, Pod>();
  for (const [key, pod] of cluster.pods) {
    const own = addressesOf(key, pod);
    pods.set(key, own === pod.addresses ? pod : { ...pod, addresses: own });
  }
  const isUnrecorded = (key: string, pod: Pod) =>
    pod.nodeName === nodeName &&
    !pod.hostNetwork &&
    !isFinished(pod) &&
    pod.addresses.length > 0 &&
    !addresses.has(key);
  return {
    cluster: { ...cluster, pods },
    podOf,
    unrecorded: [...pods].filter(([key, pod]) => isUnrecorded(key, pod)).map(([, pod]) => pod),
  };
}

/** Returns the list itself when nothing is taken from it. */
function withoutAny(addresses: readonly string[], taken: ReadonlySet<string>): readonly string[] {
  return addresses.some((address) => taken.has(address))
    ? addresses.filter((address) => !taken.has(address))
    : addresses;
}

/** Returns the identities under which the runtime may name a pod; none when the source does not tell, then any fits. */
export function uidsOf({ uid, staticPodHash }: Pod): readonly string[] {
  return [uid, staticPodHash].filter((id) => id !== undefined);
}

function isSame(pod: Pod, { uid }: Attachment): boolean {
  const uids = uidsOf(pod);
  return uid === undefined || uids.length === 0 || uids.includes(uid);
}
