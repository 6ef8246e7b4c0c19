import type { Direction, NetworkPolicy } from '../kube/networkPolicy.ts';
import type { NamedPort } from '../kube/pod.ts';
import { allowedBy, type Allowed } from './allows.ts';
import type { Isolation } from './model.ts';
import type { PeerGroups } from './peerGroups.ts';

/** An isolation that a pod has; `key` tells it from all others. */
export interface HeldIsolation {
  readonly key: string;
  readonly isolation: Isolation;
}

interface Shared extends HeldIsolation {
  readonly content: Content;
  users: number;
}

/** What other policies, or those for other named ports, may come to as well. */
interface Content {
  readonly key: string;
  readonly isolation: Isolation;
  readonly groups: readonly string[];
  users: number;
}

/** What selects a pod, and what of the pod counts. */
export interface Selected {
  readonly policies: Iterable<NetworkPolicy>;
  readonly namedPorts: readonly NamedPort[];
  /** Whether all policies of the namespace are in audit mode. */
  readonly isNamespaceAudited: boolean;
}

interface Judged extends Allowed {
  readonly kind: 'isolated' | 'audited';
}

const OPEN: HeldIsolation = { key: '', isolation: { kind: 'open' } };

/** Policies may have thousands of rules and pods hundreds of replicas: what is the same for several pods is one object, worked out once. */
export class Isolations {
  readonly #groups: PeerGroups;
  readonly #shared = new Map<string, Shared>();
  readonly #contents = new Map<string, Content>();
  /** A policy that changes is another object. */
  readonly #numbers = new WeakMap<NetworkPolicy, number>();
  #lastNumber = 0;

  /** `groups` holds what the isolations name. */
  constructor(groups: PeerGroups) {
    this.#groups = groups;
  }

  /** Returns what isolates a pod in one direction that these policies select, and holds it until it is released as often. */
  hold(direction: Direction, { policies, namedPorts, isNamespaceAudited }: Selected): HeldIsolation {
    // A pod is isolated for a direction as soon as one policy selects it for that direction; what they allow adds up.
    const isolating = [...policies].filter((policy) => policy[direction] !== undefined);
    if (isolating.length === 0) return OPEN;
    // What policies in audit mode allow counts as all else, and they isolate nobody.
    const kind = isNamespaceAudited || isolating.every(({ audit }) => audit === true) ? 'audited' : 'isolated';
    const ownPorts = direction === 'ingress' ? namedPorts : [];
    const numbers = isolating.map((policy) => this.#numberOf(policy)).sort((a, b) => a - b);
    const key = JSON.stringify([direction, kind, numbers, ownPorts]);
    const known = this.#shared.get(key);
    if (known !== undefined) known.users += 1;
    return known ?? this.#make(key, { kind, ...allowedBy(isolating, { direction, namedPorts: ownPorts }) });
  }

  release({ key }: HeldIsolation): void {
    const shared = this.#shared.get(key);
    if (shared === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    this.#shared.delete(key);
    const { content } = shared;
    content.users -= 1;
    if (content.users > 0) return;
    this.#contents.delete(content.key);
    for (const group of content.groups) this.#groups.release(group);
  }

  #make(key: string, allowed: Judged): HeldIsolation {
    const content = this.#content(allowed);
    const made: Shared = { key, isolation: content.isolation, content, users: 1 };
    this.#shared.set(key, made);
    return made;
  }

  #content({ kind, allows, groups }: Judged): Content {
    // In any order they say the same.
    const texts = allows.map((allow) => JSON.stringify(allow));
    const key = [kind, ...texts.sort()].join();
    const known = this.#contents.get(key);
    if (known !== undefined) {
      known.users += 1;
      return known;
    }
    for (const group of groups) this.#groups.hold(group);
    const content: Content = {
      key,
      isolation: { kind, allows },
      groups: groups.map((group) => group.key),
      users: 1,
    };
    this.#contents.set(key, content);
    return content;
  }

  #numberOf(policy: NetworkPolicy): number {
    const known = this.#numbers.get(policy);
    if (known !== undefined) return known;
    this.#lastNumber += 1;
    this.#numbers.set(policy, this.#lastNumber);
    return this.#lastNumber;
  }
}
