import { familyOf, type IpFamily } from '../net/family.ts';
import type { Protocol } from '../net/protocol.ts';
import { quote } from '../net/quote.ts';
import type { Cluster } from '../kube/cluster.ts';
import { isFinished, type Pod } from '../kube/pod.ts';

/**
 * One end of a flow as a question names it. `address` is canonical; for a pod of several addresses it says which of them is meant,
 * without it the first of a family that both ends have.
 */
export type Endpoint =
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string; readonly address?: string }
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'node'; readonly nodeName: string; readonly address: string };

/** A flow is named by its first packet: `port` is the destination's. */
export interface Flow {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly protocol: Protocol;
  readonly port: number;
}

/**
 * Who an endpoint is for policies. `pod` has a network of its own and still runs; `node` is a node's own address, shared by its hostNetwork
 * pods; `outside` is everything else. A pod may have no address yet.
 */
export type Party =
  | { readonly kind: 'pod'; readonly pod: Pod; readonly address: string | undefined }
  | { readonly kind: 'node'; readonly nodeName: string | undefined; readonly address: string | undefined }
  | { readonly kind: 'outside'; readonly address: string | undefined };

/** Returns who the two ends of a flow are. Throws an `Error` that names a pod which the cluster does not have. */
export function partiesOf(cluster: Cluster, flow: Flow): { readonly from: Party; readonly to: Party } {
  const family = familyOfFlow(cluster, flow);
  return { from: partyOf(cluster, flow.from, family), to: partyOf(cluster, flow.to, family) };
}

function partyOf(cluster: Cluster, endpoint: Endpoint, family: IpFamily | undefined): Party {
  switch (endpoint.kind) {
    case 'node':
      return endpoint;
    case 'address':
      return partyAt(cluster, endpoint.address);
    case 'pod': {
      const pod = podOf(cluster, endpoint);
      const address = endpoint.address ?? pod.addresses.find((candidate) => familyOf(candidate) === family);
      return isFinished(pod) ? partyAt(cluster, address) : partyOfPod(pod, address);
    }
  }
}

// The API leaves open what a policy means for hostNetwork pods. Their packets bear the node's address and tell no more, so they are the node's.
function partyOfPod(pod: Pod, address: string | undefined): Party {
  return pod.hostNetwork ? { kind: 'node', nodeName: pod.nodeName, address } : { kind: 'pod', pod, address };
}

function partyAt(cluster: Cluster, address: string | undefined): Party {
  const holder = address === undefined ? undefined : holdersOf(cluster).get(address);
  return holder === undefined ? { kind: 'outside', address } : partyOfPod(holder, address);
}

// A cache only: whoever sweeps conntrack asks of one cluster many thousand times. One that changes in place is asked as a new object each time.
const holders = new WeakMap<Cluster, ReadonlyMap<string, Pod>>();

/** A finished pod holds nothing: its address may already be somebody else's. */
function holdersOf(cluster: Cluster): ReadonlyMap<string, Pod> {
  const known = holders.get(cluster);
  if (known !== undefined) return known;
  const live = [...cluster.pods.values()].filter((pod) => !isFinished(pod));
  const found = new Map(live.flatMap((pod) => pod.addresses.map((address) => [address, pod] as const)));
  holders.set(cluster, found);
  return found;
}

function podOf(cluster: Cluster, { namespace, name }: { readonly namespace: string; readonly name: string }): Pod {
  const pod = cluster.pods.get(`${namespace}/${name}`);
  if (pod === undefined)
    throw new Error(`Cannot judge the flow: there is no pod ${quote(name)} in namespace ${quote(namespace)}`);
  return pod;
}

function familyOfFlow(cluster: Cluster, { from, to }: Flow): IpFamily | undefined {
  const ofFrom = familiesOf(cluster, from);
  const ofTo = familiesOf(cluster, to);
  return ofFrom.find((family) => ofTo.includes(family)) ?? ofFrom[0] ?? ofTo[0];
}

function familiesOf(cluster: Cluster, endpoint: Endpoint): readonly IpFamily[] {
  if (endpoint.address !== undefined) return [familyOf(endpoint.address)];
  return endpoint.kind === 'pod' ? podOf(cluster, endpoint).addresses.map(familyOf) : [];
}
