import { changesBetween, NO_OBJECTS, type Cluster, type ClusterChanges } from '../kube/cluster.ts';
import { isFinished, namespaceOf, objectKey, type Pod } from '../kube/pod.ts';
import type { Attachment } from '../rendezvous/attachment.ts';
import { idOf } from '../rules/pod.ts';
import { AddressOwners } from './addressOwners.ts';

/** The cluster as this node knows it, and whose each attachment is. */
export interface LocalView {
  /** The source's cluster with the attachments' addresses in place of the API's for local pods. It changes in place, as the source's does. */
  readonly cluster: Cluster;
  /** The key of each attachment's pod, by the attachment's id; one that is missing belongs to a pod that the source does not show. */
  readonly podOf: ReadonlyMap<string, string>;
  /** The node's pods that run with addresses which no record tells: they were there before the plugin was. */
  readonly unrecorded: readonly Pod[];
}

export interface LocalFacts {
  readonly attachments: readonly Attachment[];
  /** Keys of the node's pods that were attached and are not any more. */
  readonly detached: ReadonlySet<string>;
}

/** Returns the view of a cluster that stays as it is. */
export function localView(
  cluster: Cluster,
  { nodeName, ...facts }: LocalFacts & { readonly nodeName: string },
): LocalView {
  const pods = new LocalPods(nodeName);
  pods.update(cluster, { changes: changesBetween(NO_OBJECTS, cluster), facts });
  return pods.view;
}

/**
 * The cluster with the addresses that local pods really have. A record wins over the API, which tells of an address late, and after a
 * restart of the node still shows the old one; an address that a record gives to one pod is no other's, and a detached pod has none.
 */
export class LocalPods {
  readonly #nodeName: string;
  readonly #pods = new Map<string, Pod>();
  /** What the source shows of those that are others here. */
  readonly #shown = new Map<string, Pod>();
  readonly #owners = new AddressOwners();
  readonly #local = new Set<string>();
  #facts: LocalFacts = { attachments: [], detached: new Set() };
  #attached: Attached = { podOf: new Map(), addresses: new Map(), recorded: new Set() };
  #view: LocalView = { cluster: NO_OBJECTS, podOf: new Map(), unrecorded: [] };

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** The view as of the last update: another object when the attachments' pods or the unrecorded ones are others. */
  get view(): LocalView {
    return this.#view;
  }

  /** Takes over what has changed in the source's cluster, and the facts: the same object where they are the same. Returns what has changed in the view. */
  update(
    cluster: Cluster,
    { changes, facts }: { readonly changes: ClusterChanges; readonly facts: LocalFacts },
  ): ClusterChanges {
    const keys = new Set(changes.pods);
    for (const key of keys) this.#owners.move(key, this.#shownAddresses(key), cluster.pods.get(key)?.addresses ?? []);
    const isLocal = (key: string) => this.#local.has(key) || cluster.pods.get(key)?.nodeName === this.#nodeName;
    const isOther = facts !== this.#facts || [...keys].some(isLocal);
    if (isOther) for (const key of this.#takeFacts(cluster, facts)) keys.add(key);
    const pods = new Set([...keys].filter((key) => this.#replace(key, cluster.pods.get(key))));
    if (isOther || !isOf(this.#view.cluster, cluster))
      this.#view = {
        cluster: { ...cluster, pods: this.#pods },
        podOf: this.#attached.podOf,
        unrecorded: this.#unrecorded(),
      };
    return { ...changes, pods };
  }

  /**
   * Returns the part of the view that decides about flows between these addresses and this node's pods, as it is now: the node's own pods and their
   * policies, and who has the addresses.
   */
  around(addresses: Iterable<string>): Cluster {
    const { namespaces, policies } = this.#view.cluster;
    const keys = new Set([...this.#local, ...[...addresses].flatMap((address) => this.#owners.of(address))]);
    const own = new Set([...this.#local].map(namespaceOf));
    return {
      namespaces,
      pods: new Map([...keys].flatMap((key) => entryOf(this.#pods, key))),
      policies: new Map([...policies].filter(([, { namespace }]) => own.has(namespace))),
    };
  }

  /** Returns the keys of the pods that may have other addresses because of the new facts. */
  #takeFacts(cluster: Cluster, facts: LocalFacts): Iterable<string> {
    const [before, after] = [this.#attached, attachedPods(cluster, { ...facts, nodeName: this.#nodeName })];
    const detached = facts.detached.symmetricDifference(this.#facts.detached);
    const moved = before.recorded.symmetricDifference(after.recorded);
    const attached = [...before.addresses.keys(), ...after.addresses.keys()];
    this.#attached = after;
    this.#facts = facts;
    return [...attached, ...detached, ...[...moved].flatMap((address) => this.#owners.of(address))];
  }

  /** Returns whether the pod is another one in the view than before. */
  #replace(key: string, shown: Pod | undefined): boolean {
    const before = this.#pods.get(key);
    if (shown === undefined) {
      this.#shown.delete(key);
      this.#local.delete(key);
      return this.#pods.delete(key);
    }
    const addresses = this.#addressesOf(key, shown);
    const isShownSo = addresses === shown.addresses;
    const isAsBefore = isShownSo
      ? before === shown
      : this.#shown.get(key) === shown && before?.addresses.join() === addresses.join();
    if (isAsBefore) return false;
    this.#pods.set(key, isShownSo ? shown : { ...shown, addresses });
    if (isShownSo) this.#shown.delete(key);
    else this.#shown.set(key, shown);
    if (shown.nodeName === this.#nodeName && !shown.hostNetwork) this.#local.add(key);
    else this.#local.delete(key);
    return true;
  }

  #shownAddresses(key: string): readonly string[] {
    return (this.#shown.get(key) ?? this.#pods.get(key))?.addresses ?? [];
  }

  #addressesOf(key: string, pod: Pod): readonly string[] {
    if (pod.hostNetwork) return pod.addresses;
    if (pod.nodeName === this.#nodeName && this.#facts.detached.has(key)) return NONE;
    return this.#attached.addresses.get(key) ?? withoutAny(pod.addresses, this.#attached.recorded);
  }

  #unrecorded(): readonly Pod[] {
    const pods = [...this.#local].filter((key) => !this.#attached.addresses.has(key));
    return pods
      .flatMap((key) => this.#pods.get(key) ?? [])
      .filter((pod) => !isFinished(pod) && pod.addresses.length > 0);
  }
}

function entryOf<T>(map: ReadonlyMap<string, T>, key: string): readonly (readonly [string, T])[] {
  const value = map.get(key);
  return value === undefined ? [] : [[key, value]];
}

function isOf(view: Cluster, { namespaces, policies }: Cluster): boolean {
  return view.namespaces === namespaces && view.policies === policies;
}

const NONE: readonly string[] = [];

/** What the records say of the pods that the source shows. */
interface Attached {
  readonly podOf: ReadonlyMap<string, string>;
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** All addresses of all records. */
  readonly recorded: ReadonlySet<string>;
}

function attachedPods(
  cluster: Cluster,
  { attachments, nodeName }: LocalFacts & { readonly nodeName: string },
): Attached {
  const podOf = new Map<string, string>();
  const addresses = new Map<string, readonly string[]>();
  for (const attachment of attachments) {
    const key = objectKey(attachment);
    const pod = cluster.pods.get(key);
    if (pod === undefined || pod.hostNetwork || pod.nodeName !== nodeName || !isSame(pod, attachment)) continue;
    podOf.set(idOf(attachment), key);
    addresses.set(key, [...(addresses.get(key) ?? []), ...attachment.addresses]);
  }
  return { podOf, addresses, recorded: new Set(attachments.flatMap((attachment) => attachment.addresses)) };
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
