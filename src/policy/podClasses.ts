import type { Cluster } from '../kube/cluster.ts';
import type { LabelSelector } from '../kube/labelSelector.ts';
import type { NetworkPolicy, Peer } from '../kube/networkPolicy.ts';
import type { Pod } from '../kube/pod.ts';
import { familyOf } from '../net/family.ts';
import { peerMismatch, selectorMismatch } from './mismatch.ts';

/**
 * Returns the class of each pod. Pods of one class differ in nothing that any policy of the cluster looks at, so that `evaluate` says the same of
 * them in every flow, but for a flow to themselves and one between a pod and its own node.
 */
export function podClasses(cluster: Cluster, pods: readonly Pod[]): ReadonlyMap<Pod, number> {
  const features = new Features(cluster);
  const numbers = new Map<string, number>();
  const classes = new Map<Pod, number>();
  for (const pod of pods) {
    const key = features.of(pod);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    classes.set(pod, number);
  }
  return classes;
}

/** What can be told of a pod by policies, as a text. */
class Features {
  readonly #policies: ReadonlyMap<string, readonly NetworkPolicy[]>;
  /** Selectors of pods that reach beyond their policy's namespace. */
  readonly #wide: readonly LabelSelector[];
  readonly #blocks: readonly Peer[];
  readonly #narrow = new Map<string, readonly LabelSelector[]>();
  readonly #selected = new Map<string, string>();

  constructor({ policies }: Cluster) {
    const all = [...policies.values()];
    const peers = all.flatMap(peersOf);
    this.#policies = Map.groupBy(all, ({ namespace }) => namespace);
    this.#wide = distinct(peers.filter((peer) => peer.kind === 'pods' && peer.namespaceSelector !== undefined)).flatMap(
      podSelectorOf,
    );
    this.#blocks = distinct(peers.filter(({ kind }) => kind === 'ipBlock'));
  }

  of(pod: Pod): string {
    return JSON.stringify([
      pod.namespace,
      pod.hostNetwork,
      this.#selectedBy(pod),
      this.#blocks.length === 0 ? [] : pod.addresses.map((address) => [familyOf(address), this.#holding(address)]),
      pod.namedPorts.map(({ name, protocol, port }) => [name, protocol, port]),
    ]);
  }

  /** Replicas have the same labels: they are asked for once. */
  #selectedBy({ namespace, labels }: Pod): string {
    const key = JSON.stringify([namespace, ...[...labels].toSorted(([a], [b]) => (a < b ? -1 : 1))]);
    const seen = this.#selected.get(key);
    if (seen !== undefined) return seen;
    const selectors = [...this.#narrowOf(namespace), ...this.#wide];
    const made = bits(selectors.map((selector) => selectorMismatch(selector, labels) === undefined));
    this.#selected.set(key, made);
    return made;
  }

  #narrowOf(namespace: string): readonly LabelSelector[] {
    const seen = this.#narrow.get(namespace);
    if (seen !== undefined) return seen;
    const policies = this.#policies.get(namespace) ?? [];
    const made = distinct([
      ...policies.map(({ podSelector }) => podSelector),
      ...policies.flatMap(peersOf).flatMap(podSelectorOf),
    ]);
    this.#narrow.set(namespace, made);
    return made;
  }

  #holding(address: string): string {
    const question = { party: { kind: 'outside', address } as const, policyNamespace: '', namespaces: new Map() };
    return bits(this.#blocks.map((block) => peerMismatch(block, question) === undefined));
  }
}

function peersOf({ ingress = [], egress = [] }: NetworkPolicy): readonly Peer[] {
  return [...ingress, ...egress].flatMap(({ peers }) => (peers === 'any' ? [] : peers));
}

function podSelectorOf(peer: Peer): readonly LabelSelector[] {
  return peer.kind === 'pods' && peer.podSelector !== undefined ? [peer.podSelector] : [];
}

function distinct<Item>(items: readonly Item[]): readonly Item[] {
  return [...new Map(items.map((item) => [JSON.stringify(item, mapsAsLists), item])).values()];
}

function mapsAsLists(_: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

function bits(answers: readonly boolean[]): string {
  return answers.map(Number).join('');
}
