import type { Cluster } from '../../src/kube/cluster.ts';
import type { PolicyRule } from '../../src/kube/networkPolicy.ts';
import { isFinished } from '../../src/kube/pod.ts';
import type { Cidr } from '../../src/net/cidr.ts';
import { familyOf } from '../../src/net/family.ts';
import { PROTOCOLS } from '../../src/net/protocol.ts';
import type { Endpoint, Flow } from '../../src/policy/flow.ts';
import { ADDRESS_BITS, ipNumber } from '../../src/trace/ipNumber.ts';
import { ipText } from './ipText.ts';

/** One end of a flow with the address that it has in the flow's family. */
type Addressed = Endpoint & { readonly address: string };

/**
 * Returns every flow that could show a difference: each live pod with each other, with itself, with the nodes and with the addresses at
 * the edges of all networks that policies name, in both families; each protocol; each port at the edges of what policies and pods name.
 */
export function flowsOf(cluster: Cluster): readonly Flow[] {
  const pods = podEnds(cluster);
  const others = [...nodeEnds(cluster), ...outsideEnds(cluster)];
  const pairs = [
    ...pods.flatMap((from) => [...pods, ...others].map((to) => ({ from, to }))),
    ...others.flatMap((from) => pods.map((to) => ({ from, to }))),
  ];
  const ports = portsOf(cluster);
  return pairs
    .filter(({ from, to }) => familyOf(from.address) === familyOf(to.address))
    .flatMap((pair) => PROTOCOLS.flatMap((protocol) => ports.map((port) => ({ ...pair, protocol, port }))));
}

function podEnds(cluster: Cluster): readonly Addressed[] {
  const live = [...cluster.pods.values()].filter((pod) => !isFinished(pod) && !pod.hostNetwork);
  return live.flatMap(({ namespace, name, addresses }) =>
    addresses.map((address) => ({ kind: 'pod', namespace, name, address }) as const),
  );
}

// A node is known by the hostNetwork pods that have its addresses; both names mean the same end.
function nodeEnds(cluster: Cluster): readonly Addressed[] {
  const hostPods = [...cluster.pods.values()].filter((pod) => pod.hostNetwork && pod.nodeName !== undefined);
  return hostPods.flatMap(({ namespace, name, nodeName = '', addresses }) =>
    addresses.flatMap((address) => [
      { kind: 'pod', namespace, name, address } as const,
      { kind: 'node', nodeName, address } as const,
    ]),
  );
}

/** Addresses that are no live pod's and no node's: at the edges of networks, of finished pods, and one that nothing names. */
function outsideEnds(cluster: Cluster): readonly Addressed[] {
  const pods = [...cluster.pods.values()];
  const taken = new Set(pods.filter((pod) => !isFinished(pod)).flatMap((pod) => pod.addresses));
  const edges = networksOf(cluster).flatMap(edgesOf);
  const all = new Set([...edges, ...pods.flatMap((pod) => pod.addresses), '203.0.113.9', '2001:db8:9::9']);
  return [...all].filter((address) => !taken.has(address)).map((address) => ({ kind: 'address', address }));
}

function networksOf(cluster: Cluster): readonly Cidr[] {
  const peers = rulesOf(cluster).flatMap((rule) => (rule.peers === 'any' ? [] : rule.peers));
  return peers.flatMap((peer) => (peer.kind === 'ipBlock' ? [peer.cidr, ...peer.except] : []));
}

/** The first and last address of a network and their neighbours, but for the addresses that no packet has. */
function edgesOf({ text, family }: Cidr): readonly string[] {
  const [address = '', prefix = ''] = text.split('/');
  const first = ipNumber(address, family);
  const last = first + (1n << BigInt(ADDRESS_BITS[family] - Number(prefix))) - 1n;
  const end = (1n << BigInt(ADDRESS_BITS[family])) - 1n;
  return [first - 1n, first, last, last + 1n]
    .filter((number) => number > 0n && number < end)
    .map((number) => ipText(number, family));
}

function portsOf(cluster: Cluster): readonly number[] {
  const policyPorts = rulesOf(cluster).flatMap((rule) => (rule.ports === 'any' ? [] : rule.ports));
  const edges = policyPorts.flatMap((port) =>
    port.kind === 'range' ? [port.from - 1, port.from, port.to, port.to + 1] : [],
  );
  const named = [...cluster.pods.values()].flatMap((pod) => pod.namedPorts.map(({ port }) => port));
  return [...new Set([...edges, ...named, 7])].filter((port) => port >= 1 && port <= 65_535).toSorted((a, b) => a - b);
}

function rulesOf(cluster: Cluster): readonly PolicyRule[] {
  return [...cluster.policies.values()].flatMap(({ ingress = [], egress = [] }) => [...ingress, ...egress]);
}
