import { cidrContains, type Cidr } from '../net/cidr.ts';
import type { Cluster } from '../kube/cluster.ts';
import type { LabelSelector } from '../kube/labelSelector.ts';
import type { NetworkPolicy, Peer, PolicyPort } from '../kube/networkPolicy.ts';
import type { Pod } from '../kube/pod.ts';
import type { PeerGroup, PeerMatch } from './model.ts';
import { PodIndex, type PodScope } from './podIndex.ts';
import { selectorKey } from './selector.ts';

type NamedPort = Extract<PolicyPort, { kind: 'named' }>;

const EVERYTHING: LabelSelector = { matchLabels: new Map(), matchExpressions: [] };

/**
 * The peer groups of one compilation. A group is made when a rule first names it and shared by every rule that says the same: equal selectors in
 * another policy, or in another order, are the same group.
 */
export class PeerGroups {
  readonly #pods: PodIndex;
  readonly #groups = new Map<string, PeerGroup>();

  constructor(cluster: Cluster) {
    this.#pods = new PodIndex(cluster);
  }

  /** Returns every group named so far, by key. */
  used(): ReadonlyMap<string, PeerGroup> {
    return this.#groups;
  }

  /** Returns what matches the peers of a rule: any of the elements. */
  matches(peers: 'any' | readonly Peer[], policy: NetworkPolicy): readonly PeerMatch[] {
    if (peers === 'any') return [{ kind: 'any' }];
    const blocks = peers.filter((peer) => peer.kind === 'ipBlock');
    const plain = blocks.filter(({ except }) => except.length === 0).map(({ cidr }) => cidr);
    return [
      ...peers.filter((peer) => peer.kind === 'pods').map((peer) => this.#addresses(scopeOf(peer, policy))),
      ...this.#plainNetworks(plain),
      // Each block with exceptions stays a group of its own: an except cuts nothing out of its neighbour.
      ...blocks.filter(({ except }) => except.length > 0).map(({ cidr, except }) => this.#networks([cidr], except)),
    ];
  }

  /** Returns what matches the named port on the peers of an egress rule: groups of address and port together. */
  namedPortMatches(
    peers: 'any' | readonly Peer[],
    { policy, port }: { readonly policy: NetworkPolicy; readonly port: NamedPort },
  ): readonly PeerMatch[] {
    if (peers === 'any') return [this.#addressPorts('any', { pods: () => this.#pods.all(), holds: () => true, port })];
    return peers.map((peer) => {
      if (peer.kind === 'pods') {
        const scope = scopeOf(peer, policy);
        return this.#addressPorts(scopeKey(scope), { pods: () => this.#pods.select(scope), holds: () => true, port });
      }
      return this.#addressPorts(networksKey([peer.cidr], peer.except), {
        pods: () => this.#pods.all(),
        holds: (address) =>
          cidrContains(peer.cidr, address) && !peer.except.some((except) => cidrContains(except, address)),
        port,
      });
    });
  }

  #addresses(scope: PodScope): PeerMatch {
    return this.#group(`addresses ${scopeKey(scope)}`, (key) => ({
      kind: 'addresses',
      key,
      members: this.#pods.select(scope).flatMap(({ addresses }) => addresses),
    }));
  }

  /** One network is matched as it stands; many share a set, so that a long list costs one lookup. */
  #plainNetworks(cidrs: readonly Cidr[]): readonly PeerMatch[] {
    if (cidrs.length < 2) return cidrs.map((cidr) => ({ kind: 'network', cidr }));
    return [this.#networks(cidrs, [])];
  }

  #networks(cidrs: readonly Cidr[], except: readonly Cidr[]): PeerMatch {
    return this.#group(`networks ${networksKey(cidrs, except)}`, (key) => ({ kind: 'networks', key, cidrs, except }));
  }

  #addressPorts(scope: string, { pods, holds, port }: AddressPortScope): PeerMatch {
    return this.#group(`addressPorts ${port.protocol} ${port.name} ${scope}`, (key) => ({
      kind: 'addressPorts',
      key,
      members: pods().flatMap((pod) =>
        pod.namedPorts
          .filter(({ name, protocol }) => name === port.name && protocol === port.protocol)
          .flatMap(({ protocol, port: number }) =>
            pod.addresses.filter(holds).map((address) => ({ address, protocol, port: number })),
          ),
      ),
    }));
  }

  #group(key: string, make: (key: string) => PeerGroup): PeerMatch {
    if (!this.#groups.has(key)) this.#groups.set(key, make(key));
    return { kind: 'group', key };
  }
}

interface AddressPortScope {
  readonly pods: () => readonly Pod[];
  readonly holds: (address: string) => boolean;
  readonly port: NamedPort;
}

/** Without a namespaceSelector a peer means pods of the policy's own namespace; without a podSelector all pods of the namespaces. */
function scopeOf(peer: Extract<Peer, { kind: 'pods' }>, policy: NetworkPolicy): PodScope {
  return { namespaces: peer.namespaceSelector ?? policy.namespace, pods: peer.podSelector ?? EVERYTHING };
}

function scopeKey({ namespaces, pods }: PodScope): string {
  // In brackets a selector cannot be taken for a namespace's name.
  return `${typeof namespaces === 'string' ? namespaces : `[${selectorKey(namespaces)}]`} ${selectorKey(pods)}`;
}

function networksKey(cidrs: readonly Cidr[], except: readonly Cidr[]): string {
  return except.length === 0 ? textsOf(cidrs) : `${textsOf(cidrs)} except ${textsOf(except)}`;
}

function textsOf(cidrs: readonly Cidr[]): string {
  return [...new Set(cidrs.map(({ text }) => text))].sort().join(' ');
}
