import { canonicalAddress } from '../../net/address.ts';
import { isFinished, type Pod } from '../../kube/pod.ts';
import { child, isNewer, metaOf, type JsonObject } from './apiObject.ts';

/** The addresses that one node's pods have and the API does not show yet, by the pods' uid. */
export interface NodeAddresses {
  readonly nodeName: string;
  readonly addresses: ReadonlyMap<string, readonly string[]>;
}

/** The same, and in which resourceVersion the node came to tell it. */
export interface ToldAddresses extends NodeAddresses {
  readonly version: string;
}

/** Where the objects are in which agents tell each other of addresses. Nobody but they may write there. */
export const NAMESPACE = 'kube-nwplcy';

/** What tells these objects from others there. */
export const LABELS = { 'app.kubernetes.io/managed-by': 'kube-nwplcy' } as const;

/** Returns the ConfigMap in which a node's agent tells of its pods' addresses: it is named by the node. */
export function configMapOf({ nodeName, addresses }: NodeAddresses): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: NAMESPACE, name: nodeName, labels: LABELS },
    data: Object.fromEntries(Array.from(addresses, ([uid, list]) => [uid, list.join(',')])),
  };
}

/** Returns what such a ConfigMap tells. What is no address of a pod is left out. */
export function readConfigMap(object: JsonObject): NodeAddresses {
  const addresses = new Map<string, readonly string[]>();
  for (const [uid, list] of Object.entries(child(object, 'data'))) {
    const known = typeof list === 'string' ? list.split(',').flatMap(podAddress) : [];
    if (known.length > 0) addresses.set(uid, known);
  }
  return { nodeName: metaOf(object).name, addresses };
}

function podAddress(text: string): readonly string[] {
  try {
    const address = canonicalAddress(text);
    return NO_POD_S.test(address) ? [] : [address];
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

/** Unspecified, loopback, link-local, multicast and reserved. */
const NO_POD_S = /^(?:0\.|127\.|169\.254\.|2(?:2[4-9]|[345]\d)\.|::1?$|fe[89ab]|ff)/;

/**
 * Returns the pods of a node with the addresses that it tells. It speaks for them until the API tells something newer of them (`changedIn` gives the
 * resourceVersion by key): its agent may be gone since. An address that it gives to one of them is no other's of the same node: the API shows a gone
 * pod's for a while. `pods` itself is left as it is.
 */
export function withNodeAddresses(
  pods: ReadonlyMap<string, Pod>,
  { addresses, version }: ToldAddresses,
  changedIn: (key: string) => string,
): ReadonlyMap<string, Pod> {
  const isOlder = (key: string) => isNewer(version, changedIn(key));
  const result = new Map(pods);
  const taken = new Set<string>();
  for (const [key, pod] of pods) {
    const own = pod.uid === undefined || isFinished(pod) || pod.hostNetwork ? undefined : addresses.get(pod.uid);
    if (own === undefined || (pod.addresses.length > 0 && !isOlder(key))) continue;
    for (const address of own) taken.add(address);
    result.set(key, { ...pod, addresses: own });
  }
  for (const [key, pod] of pods) {
    if (result.get(key) !== pod || pod.hostNetwork) continue;
    const left = pod.addresses.filter((address) => !taken.has(address));
    if (left.length < pod.addresses.length && isOlder(key)) result.set(key, { ...pod, addresses: left });
  }
  return result;
}
