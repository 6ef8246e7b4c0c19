import type { Pod } from '../../kube/pod.ts';
import type { AddressSharing } from './addressSharing.ts';
import type { Followed } from './followed.ts';
import { withNodeAddresses } from './nodeAddresses.ts';
import type { Unusable } from './readObject.ts';

export interface PodAddressesOptions {
  /** As the API shows them. */
  readonly pods: Followed<Pod | Unusable<Pod>>;
  /** As they were published last. */
  readonly published: ReadonlyMap<string, Pod>;
  readonly sharing: Pick<AddressSharing, 'see' | 'toldBy' | 'takeChanged'>;
  /** This node's name. */
  readonly nodeName: string;
}

/** Puts the addresses that nodes tell each other into their pods. What it does for a change does not grow with the number of pods. */
export class PodAddresses {
  readonly #options: PodAddressesOptions;
  readonly #byNode = new Map<string, Set<string>>();

  constructor(options: PodAddressesOptions) {
    this.#options = options;
  }

  /** Takes the keys of pods that the API shows otherwise than before, and yields each pod that may say something else now; `undefined`: it is gone. */
  *update(changed: ReadonlySet<string>): Generator<readonly [string, Pod | Unusable<Pod> | undefined]> {
    const { pods, sharing, nodeName } = this.#options;
    const touched = this.#note(changed);
    if (touched.has(nodeName)) sharing.see(this.#ownByUid());
    const nodes = new Set(sharing.takeChanged());
    for (const node of touched) if (sharing.toldBy(node) !== undefined) nodes.add(node);
    const told = new Map([...nodes].flatMap((node) => [...this.#told(node)]));
    for (const key of changed) if (!told.has(key)) yield [key, pods.objects.get(key)];
    yield* told;
  }

  /** Returns the nodes that the changed pods are and were on. */
  #note(changed: ReadonlySet<string>): ReadonlySet<string> {
    const nodes = new Set<string>();
    for (const key of changed) {
      const before = this.#options.published.get(key)?.nodeName;
      const now = this.#shown(key)?.nodeName;
      if (before !== undefined) nodes.add(before);
      if (now !== undefined) nodes.add(now);
      if (before !== now) this.#move(key, { before, now });
    }
    return nodes;
  }

  #move(key: string, { before, now }: { readonly before: string | undefined; readonly now: string | undefined }): void {
    if (before !== undefined) {
      const keys = this.#byNode.get(before);
      keys?.delete(key);
      if (keys?.size === 0) this.#byNode.delete(before);
    }
    if (now === undefined) return;
    const keys = this.#byNode.get(now);
    if (keys === undefined) this.#byNode.set(now, new Set([key]));
    else keys.add(key);
  }

  #shown(key: string): Pod | undefined {
    const pod = this.#options.pods.objects.get(key);
    return pod?.kind === 'Pod' ? pod : undefined;
  }

  #shownOn(node: string): ReadonlyMap<string, Pod> {
    const shown = new Map<string, Pod>();
    for (const key of this.#byNode.get(node) ?? []) {
      const pod = this.#shown(key);
      if (pod !== undefined) shown.set(key, pod);
    }
    return shown;
  }

  #told(node: string): ReadonlyMap<string, Pod> {
    const { pods, sharing } = this.#options;
    const tells = sharing.toldBy(node);
    const shown = this.#shownOn(node);
    return tells === undefined ? shown : withNodeAddresses(shown, tells, (key) => pods.changedIn(key));
  }

  #ownByUid(): ReadonlyMap<string, Pod> {
    const own = this.#shownOn(this.#options.nodeName);
    return new Map([...own.values()].flatMap((pod) => (pod.uid === undefined ? [] : [[pod.uid, pod]])));
  }
}
