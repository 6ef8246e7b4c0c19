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
 * Returns the pods with the addresses that their nodes tell. A node speaks for its own pods only, and until the API tells something newer of them
 * (`changedIn` gives the resourceVersion): its agent may be gone since. An address that it gives to one of them is no other's of the same node: the
 * API shows a gone pod's for a while. `pods` itself is left as it is.
 */
export function withNodeAddresses(
  pods: ReadonlyMap<string, Pod>,
  told: readonly ToldAddresses[],
  changedIn: (pod: Pod) => string,
): ReadonlyMap<string, Pod> {
  const byNode = new Map(
    told
      .filter(({ addresses }) => addresses.size > 0)
      .map((node) => [node.nodeName, { ...node, taken: new Set<string>() }]),
  );
  if (byNode.size === 0) return pods;
  const candidates = [...pods].flatMap(([key, pod]) => {
    const node = pod.hostNetwork || pod.nodeName === undefined ? undefined : byNode.get(pod.nodeName);
    return node === undefined ? [] : [{ key, pod, node, isOlder: isNewer(node.version, changedIn(pod)) }];
  });
  const result = new Map(pods);
  for (const { key, pod, node, isOlder } of candidates) {
    const own = pod.uid === undefined || isFinished(pod) ? undefined : node.addresses.get(pod.uid);
    if (own === undefined || (!isOlder && pod.addresses.length > 0)) continue;
    for (const address of own) node.taken.add(address);
    result.set(key, { ...pod, addresses: own });
  }
  for (const { key, pod, node, isOlder } of candidates) {
    if (!isOlder || result.get(key) !== pod) continue;
    const addresses = pod.addresses.filter((address) => !node.taken.has(address));
    if (addresses.length < pod.addresses.length) result.set(key, { ...pod, addresses });
  }
  return result;
}
