import type { ClusterChanges, KubeObject } from '../../kube/cluster.ts';
import type { Namespace } from '../../kube/namespace.ts';
import type { NetworkPolicy } from '../../kube/networkPolicy.ts';
import { namespaceOf } from '../../kube/pod.ts';
import { scopeKey } from '../../policy/groupDefinition.ts';
import { podDemand } from '../../policy/podDemand.ts';
import type { ListWatch } from './listWatch.ts';
import type { PodWatches } from './podWatches.ts';
import { podViews } from './podViews.ts';
import type { Unusable } from './readObject.ts';

/** A list takes a fraction of this. Milliseconds. */
const LONGEST_HOLD_MS = 1000;

export interface HeldChangesOptions {
  /** `needed`: those that this node's rules depend on, beside its own; `all`: they are followed already. */
  readonly which: 'all' | 'needed';
  readonly namespaces: ListWatch<Namespace | Unusable<Namespace>>;
  readonly policies: ListWatch<NetworkPolicy | Unusable<NetworkPolicy>>;
  readonly pods: PodWatches;
  readonly onChange: () => void;
}

/**
 * Has the pods watched that are needed, and tells of changes when the pods that they need are known. A policy whose peers are not listed yet would
 * refuse them: it waits, and with it all that decides whose rules say what (policies, namespaces, the node's own pods), so that they stay in the
 * order of time. But it may also close something, so it does not wait for long: then those peers are refused until they are listed. Changes of
 * peers wait for nothing.
 */
export class HeldChanges {
  readonly #options: HeldChangesOptions;
  /** What waits. */
  #held: { readonly namespaces: Set<string>; readonly pods: Set<string>; readonly policies: Set<string> } = nothing();
  /** The node's own pods when it was last worked out what is needed. */
  #own: ReadonlySet<string> = new Set();
  /** What was needed then; `undefined`: that never was worked out. */
  #demand: string | undefined;
  #isSynced = false;
  /** What was not listed when the time was up: nothing waits for it again. */
  #tooLate: ReadonlySet<object> = new Set();
  #end: NodeJS.Timeout | undefined;
  /** Resolved with the next change of anything. */
  #next = Promise.withResolvers<void>();

  constructor(options: HeldChangesOptions) {
    this.#options = options;
  }

  /** Whether everything was listed at least once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** To be called with each change of what is followed. */
  noteChange(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** Returns the keys of what came, changed or went since the last call, and does not wait. */
  take(): ClusterChanges {
    this.#look();
    const held = this.#held;
    if (!this.#mustWait()) {
      this.#held = nothing();
      return held;
    }
    const own = this.#options.pods.own.objects;
    this.#held = { ...held, pods: new Set([...held.pods].filter((key) => own.has(key))) };
    return { ...nothing(), pods: held.pods.difference(this.#held.pods) };
  }

  /** Resolves when nothing waits. */
  async settled(): Promise<void> {
    for (this.#look(); this.#mustWait(); this.#look()) await this.#next.promise;
  }

  stop(): void {
    clearTimeout(this.#end);
    this.#tooLate = new Set(this.#options.pods.unlisted());
    this.noteChange();
  }

  #look(): void {
    const { which, namespaces, policies, pods } = this.#options;
    const changed = {
      namespaces: namespaces.takeChanged(),
      pods: pods.takeChanged(),
      policies: policies.takeChanged(),
    };
    this.#hold(changed);
    if (!namespaces.isSynced || !policies.isSynced || !pods.own.isSynced) return;
    if (which === 'needed' && (this.#demand === undefined || this.#concerns(changed))) this.#workOut(changed);
    this.#hold({ ...nothing(), pods: pods.takeChanged() });
    if (pods.unlisted().length === 0) this.#isSynced = true;
  }

  #hold(changed: ClusterChanges): void {
    for (const kind of ['namespaces', 'pods', 'policies'] as const)
      for (const key of changed[kind]) this.#held[kind].add(key);
  }

  /** Tells whether other pods may be needed by now: seldom, whatever pods of other nodes do. */
  #concerns({ namespaces, pods, policies }: ClusterChanges): boolean {
    const own = this.#options.pods.own.objects;
    const isOwn = (key: string) => own.has(key) || this.#own.has(key);
    if (namespaces.size > 0 || [...pods].some(isOwn)) return true;
    if (policies.size === 0) return false;
    const inhabited = new Set(Array.from([...own.keys(), ...this.#own], namespaceOf));
    return [...policies].some((key) => inhabited.has(namespaceOf(key)));
  }

  #workOut(changed: ClusterChanges): void {
    const { namespaces, policies, pods } = this.#options;
    this.#own = new Set(pods.own.objects.keys());
    const demand = podDemand(usable(policies.objects), usable(pods.own.objects));
    const text = demand === 'all' ? demand : demand.map(scopeKey).sort().join('\n');
    if (text === this.#demand && changed.namespaces.size === 0) return;
    this.#demand = text;
    pods.need(podViews(demand, usable(namespaces.objects)));
  }

  /** Before everything was listed nobody acts upon what is told. */
  #mustWait(): boolean {
    const awaited = this.#options.pods.unlisted().filter((watch) => !this.#tooLate.has(watch));
    if (!this.#isSynced || awaited.length === 0) {
      clearTimeout(this.#end);
      this.#end = undefined;
      return false;
    }
    this.#end ??= setTimeout(() => this.#giveUp(), LONGEST_HOLD_MS);
    return true;
  }

  #giveUp(): void {
    this.#end = undefined;
    this.#tooLate = new Set(this.#options.pods.unlisted());
    this.#options.onChange();
  }
}

function nothing() {
  return { namespaces: new Set<string>(), pods: new Set<string>(), policies: new Set<string>() };
}

/** A policy that cannot be read allows nothing and needs nobody, and a namespace has no labels then. */
function usable<T extends KubeObject>(objects: ReadonlyMap<string, T | Unusable<T>>): readonly T[] {
  return [...objects.values()].filter((object): object is T => object.kind !== 'unusable');
}
