import type { Labels } from '../kube/labels.ts';
import type { Pod } from '../kube/pod.ts';
import type { GroupDefinition, PodScope } from './groupDefinition.ts';
import { liveGroup, type LiveGroup, type PodGroupDefinition } from './liveGroup.ts';
import type { PeerGroup } from './model.ts';
import { NamespaceScopes } from './namespaceScopes.ts';
import { PodIndex } from './podIndex.ts';
import type { Selection } from './selectionIndex.ts';
import { selects } from './selector.ts';

interface Held {
  readonly group: LiveGroup | Extract<PeerGroup, { kind: 'networks' }>;
  readonly selections: readonly (readonly [namespaces: PodScope['namespaces'], selection: Selection<LiveGroup>])[];
  users: number;
}

/**
 * The peer groups that are held, and their members. A group is shared by every rule that says the same: equal selectors in another policy, or in
 * another order, are the same group. A change of a pod costs what the groups cost that it is in.
 */
export class PeerGroups {
  readonly #pods = new PodIndex();
  readonly #held = new Map<string, Held>();
  readonly #scopes = new NamespaceScopes<LiveGroup>();
  /** Those of all pods, in a namespace that has no Namespace object too. */
  readonly #ofAll = new Set<LiveGroup>();
  /** The keys of what has changed since the groups were told. */
  readonly #changed = new Set<string>();
  #told: ReadonlyMap<string, PeerGroup> = new Map();

  /** Takes a pod's state; `undefined`: there is none. */
  setPod(key: string, pod: Pod | undefined): void {
    const { namespace, before, after } = this.#pods.set(key, pod);
    if (before === after) return;
    for (const one of [before, after]) {
      if (one === undefined) continue;
      for (const groups of [this.#ofAll, this.#scopes.targetsOf(namespace, one.labels)])
        this.#move(one, groups, one === before ? 'remove' : 'add');
    }
  }

  /** Takes a namespace's labels; `undefined`: there is none. */
  setNamespace(name: string, labels: Labels | undefined): void {
    const { came, went } = this.#scopes.setLabels(name, labels);
    if (came.length + went.length === 0) return;
    for (const pod of this.#pods.in(name)) {
      for (const selections of came) this.#move(pod, selections.targetsOf(pod.labels), 'add');
      for (const selections of went) this.#move(pod, selections.targetsOf(pod.labels), 'remove');
    }
  }

  /** Holds a group until it is released as often. */
  hold(definition: GroupDefinition): void {
    const known = this.#held.get(definition.key);
    if (known !== undefined) {
      known.users += 1;
      return;
    }
    this.#changed.add(definition.key);
    this.#held.set(definition.key, definition.kind === 'networks' ? fixed(definition) : this.#begin(definition));
  }

  release(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.users -= 1;
    if (held.users > 0) return;
    this.#changed.add(key);
    this.#held.delete(key);
    if (isLive(held.group)) this.#ofAll.delete(held.group);
    for (const [namespaces, selection] of held.selections) this.#scopes.delete(namespaces, selection);
  }

  /** Returns the groups that are held, by key: the same map as long as nothing has changed. */
  state(): ReadonlyMap<string, PeerGroup> {
    let told: Map<string, PeerGroup> | undefined;
    for (const key of this.#changed) {
      const group = this.#held.get(key)?.group;
      const state = group !== undefined && isLive(group) ? group.state() : group;
      if (state === this.#told.get(key)) continue;
      told ??= new Map(this.#told);
      if (state === undefined) told.delete(key);
      else told.set(key, state);
    }
    this.#changed.clear();
    return (this.#told = told ?? this.#told);
  }

  #begin(definition: PodGroupDefinition): Held {
    const group = liveGroup(definition);
    const scopes = scopesOf(definition);
    if (scopes === 'all') {
      this.#ofAll.add(group);
      for (const pod of this.#pods.all()) group.add(pod);
      return { group, selections: [], users: 1 };
    }
    const selections = scopes.map(({ namespaces, pods }) => [namespaces, { pods, target: group }] as const);
    for (const [namespaces, selection] of selections) this.#fill(selection, this.#scopes.add(namespaces, selection));
    return { group, selections, users: 1 };
  }

  #fill({ pods, target }: Selection<LiveGroup>, namespaces: Iterable<string>): void {
    for (const namespace of namespaces)
      for (const pod of this.#pods.in(namespace)) if (selects(pods, pod.labels)) target.add(pod);
  }

  #move(pod: Pod, groups: Iterable<LiveGroup>, step: 'add' | 'remove'): void {
    for (const group of groups) {
      group[step](pod);
      this.#changed.add(group.key);
    }
  }
}

function fixed(group: Extract<PeerGroup, { kind: 'networks' }>): Held {
  return { group, selections: [], users: 1 };
}

function isLive(group: Held['group']): group is LiveGroup {
  return 'state' in group;
}

function scopesOf(definition: PodGroupDefinition): readonly PodScope[] | 'all' {
  if (definition.kind === 'addresses') return definition.scopes;
  return definition.of === 'all' || 'cidr' in definition.of ? 'all' : [definition.of];
}
