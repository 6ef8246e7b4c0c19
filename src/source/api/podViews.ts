import type { LabelSelector } from '../../kube/labelSelector.ts';
import type { Namespace } from '../../kube/namespace.ts';
import type { PodScope } from '../../policy/groupDefinition.ts';
import type { PodDemand } from '../../policy/podDemand.ts';
import { selectorKey, selects } from '../../policy/selector.ts';

/** Pods that one watch shows. */
export interface PodView {
  /** `undefined`: of all namespaces. */
  readonly namespace: string | undefined;
  /** As a query of the API has it; '' selects all. */
  readonly labelSelector: string;
}

/** Each is a connection of its own. Kubelets watch about as much: what the pods of a full node mount, one by one. */
const MOST_VIEWS = 128;
/** So many namespaces are watched one by one even if there are no others. */
const FEW_NAMESPACES = 3;
/** What a query may grow to: proxies take no header of more than 8 KiB. */
const LONGEST_SELECTOR = 2000;

const EVERYTHING: readonly PodView[] = [{ namespace: undefined, labelSelector: '' }];

/** What is wanted with one selector. */
interface Wanted {
  readonly text: string;
  readonly selector: LabelSelector;
  readonly namespaces: ReadonlySet<string>;
}

/** Returns the views that show together all pods in demand, and others where that takes fewer views. The order means nothing. */
export function podViews(demand: PodDemand, namespaces: readonly Namespace[]): readonly PodView[] {
  if (demand === 'all') return EVERYTHING;
  const wanted = bySelector(demand, namespaces);
  const isWide = ({ namespaces: { size } }: Wanted) => size > FEW_NAMESPACES && size * 2 > namespaces.length;
  const wide = wanted.filter(isWide);
  const narrow = wanted.filter((one) => !isWide(one)).toSorted(byGain);
  // What the most namespaces are watched for is watched in all of them, until there are few enough views.
  for (;;) {
    if (wide.some(({ text }) => text === '') || wide.length > MOST_VIEWS) return EVERYTHING;
    const views = [...wide.map(({ text }) => ({ namespace: undefined, labelSelector: text })), ...byNamespace(narrow)];
    if (views.length <= MOST_VIEWS) return views;
    wide.push(...narrow.splice(0, 1));
  }
}

/** All pods of all namespaces are the last resort. */
function byGain(a: Wanted, b: Wanted): number {
  return Number(a.text === '') - Number(b.text === '') || b.namespaces.size - a.namespaces.size;
}

function bySelector(scopes: readonly PodScope[], namespaces: readonly Namespace[]): readonly Wanted[] {
  const wanted = new Map<
    string,
    { readonly text: string; readonly selector: LabelSelector; readonly namespaces: Set<string> }
  >();
  for (const scope of scopes) {
    const text = textOf(scope.pods);
    const one = wanted.get(text) ?? { text, selector: scope.pods, namespaces: new Set() };
    for (const name of namespacesOf(scope, namespaces)) one.namespaces.add(name);
    wanted.set(text, one);
  }
  return [...wanted.values()];
}

function namespacesOf({ namespaces: wanted }: PodScope, namespaces: readonly Namespace[]): readonly string[] {
  if (typeof wanted === 'string') return [wanted];
  return namespaces.filter(({ labels }) => selects(wanted, labels)).map(({ name }) => name);
}

/** One view for each namespace. */
function byNamespace(wanted: readonly Wanted[]): readonly PodView[] {
  const selectors = new Map<string, LabelSelector[]>();
  for (const { selector, namespaces } of wanted)
    for (const namespace of namespaces) {
      const known = selectors.get(namespace);
      if (known === undefined) selectors.set(namespace, [selector]);
      else known.push(selector);
    }
  return Array.from(selectors, ([namespace, all]) => ({ namespace, labelSelector: eitherOf(all) }));
}

/** Returns a query for what any of the selectors selects, or for all pods where no query says that. */
function eitherOf(selectors: readonly LabelSelector[]): string {
  const [first] = selectors;
  if (first !== undefined && selectors.length === 1) return textOf(first);
  const values = selectors.map(valuesOf);
  const key = values[0]?.key;
  if (key === undefined || values.some((one) => one?.key !== key)) return '';
  const all = [...new Set(values.flatMap((one) => one?.values ?? []))];
  return textOf({ matchLabels: new Map(), matchExpressions: [{ operator: 'In', key, values: all }] });
}

/** Returns the values of the one label that a selector asks for; `undefined` for a selector that says anything else. */
function valuesOf({
  matchLabels,
  matchExpressions,
}: LabelSelector): { readonly key: string; readonly values: readonly string[] } | undefined {
  const [requirement, ...others] = [
    ...Array.from(matchLabels, ([key, value]) => ({ operator: 'In', key, values: [value] }) as const),
    ...matchExpressions,
  ];
  return requirement?.operator === 'In' && others.length === 0 ? requirement : undefined;
}

/** A selector's key is what the API takes for it (labels.Parse): a value is in it as it stands, and needs no quotes there. */
function textOf(selector: LabelSelector): string {
  const text = selectorKey(selector);
  return text === '*' || text.length > LONGEST_SELECTOR ? '' : text;
}
