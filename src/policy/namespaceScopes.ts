import type { Labels } from '../kube/labels.ts';
import { namespacesKey, type PodScope } from './groupDefinition.ts';
import { SelectionIndex, type Selection } from './selectionIndex.ts';
import { selects } from './selector.ts';

/** Selections of pods in the same namespaces: in one by its name, or in all that a selector selects. */
interface NamespaceScope<Target> {
  readonly namespaces: PodScope['namespaces'];
  /** The namespaces of now. */
  readonly reached: Set<string>;
  readonly selections: SelectionIndex<Target>;
}

/** Selections of pods by namespace: most peers of many policies are in the same few namespaces. */
export class NamespaceScopes<Target> {
  readonly #labels = new Map<string, Labels>();
  readonly #scopes = new Map<string, NamespaceScope<Target>>();
  /** What reaches a namespace. */
  readonly #reaching = new Map<string, Set<NamespaceScope<Target>>>();

  /**
   * Takes a namespace's labels; `undefined`: there is no Namespace object, and it is in no namespaceSelector's scope, since nobody knows its labels.
   * Returns the selections that reach it from now on or do so no more.
   */
  setLabels(
    name: string,
    labels: Labels | undefined,
  ): { readonly came: readonly SelectionIndex<Target>[]; readonly went: readonly SelectionIndex<Target>[] } {
    if (labels === undefined) this.#labels.delete(name);
    else this.#labels.set(name, labels);
    const others = [...this.#scopes.values()].filter(
      (scope) => scope.reached.has(name) !== isIn(scope.namespaces, name, labels),
    );
    const [came, went] = [
      others.filter(({ reached }) => !reached.has(name)),
      others.filter(({ reached }) => reached.has(name)),
    ];
    for (const scope of came) this.#reach(scope, name);
    for (const scope of went) this.#unreach(scope, name);
    return { came: came.map(({ selections }) => selections), went: went.map(({ selections }) => selections) };
  }

  /** Returns what a pod of this namespace with these labels is wanted for: a target as often as it has selections that select the pod. */
  targetsOf(namespace: string, labels: Labels): readonly Target[] {
    const reaching = this.#reaching.get(namespace);
    return reaching === undefined ? [] : [...reaching].flatMap(({ selections }) => selections.targetsOf(labels));
  }

  /** Puts a selection into these namespaces. Returns which they are now. */
  add(namespaces: PodScope['namespaces'], selection: Selection<Target>): Iterable<string> {
    const scope = this.#scopes.get(namespacesKey(namespaces)) ?? this.#begin(namespaces);
    scope.selections.add(selection);
    return scope.reached;
  }

  delete(namespaces: PodScope['namespaces'], selection: Selection<Target>): void {
    const key = namespacesKey(namespaces);
    const scope = this.#scopes.get(key);
    scope?.selections.delete(selection);
    if (scope?.selections.size !== 0) return;
    this.#scopes.delete(key);
    for (const name of scope.reached) this.#unreach(scope, name);
  }

  #begin(namespaces: PodScope['namespaces']): NamespaceScope<Target> {
    const scope = { namespaces, reached: new Set<string>(), selections: new SelectionIndex<Target>() };
    this.#scopes.set(namespacesKey(namespaces), scope);
    if (typeof namespaces === 'string') this.#reach(scope, namespaces);
    else for (const [name, labels] of this.#labels) if (selects(namespaces, labels)) this.#reach(scope, name);
    return scope;
  }

  #reach(scope: NamespaceScope<Target>, name: string): void {
    scope.reached.add(name);
    const reaching = this.#reaching.get(name);
    if (reaching === undefined) this.#reaching.set(name, new Set([scope]));
    else reaching.add(scope);
  }

  #unreach(scope: NamespaceScope<Target>, name: string): void {
    scope.reached.delete(name);
    const reaching = this.#reaching.get(name);
    if (reaching?.delete(scope) === true && reaching.size === 0) this.#reaching.delete(name);
  }
}

function isIn(namespaces: PodScope['namespaces'], name: string, labels: Labels | undefined): boolean {
  if (typeof namespaces === 'string') return namespaces === name;
  return labels !== undefined && selects(namespaces, labels);
}
