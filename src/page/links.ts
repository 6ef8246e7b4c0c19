import type { Cluster } from '../kube/cluster.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import { portText } from '../kube/portText.ts';
import { selectorMismatch } from '../policy/mismatch.ts';
import type { Column } from './axes.ts';
import { namespacesOf } from './axes.ts';
import type { Comparison, PageGroup, When } from './comparison.ts';

/** A point of the graph: a group of pods, or where there are too many, all groups of a namespace. */
export interface Leaf {
  readonly name: string;
  readonly namespace: string;
  readonly groups: readonly PageGroup[];
}

/** From one leaf to another some pods reach some ports. */
export interface Link {
  readonly from: number;
  readonly to: number;
  /** E.g. `6379/TCP`, each once. */
  readonly ports: readonly string[];
  /** Whether a policy has a say at either end: what nothing restricts is open because nobody closed it. */
  readonly isRuled: boolean;
  readonly change: 'opens' | 'closes' | undefined;
}

/** Returns a leaf for each group, or for each namespace if that would be more than `most`. */
export function leavesOf(groups: readonly PageGroup[], { most }: { readonly most: number }): readonly Leaf[] {
  if (groups.length <= most)
    return groups.map((group) => ({
      name: `${group.namespace}/${group.label}`,
      namespace: group.namespace,
      groups: [group],
    }));
  return namespacesOf(groups).map((namespace) => ({
    name: namespace,
    namespace,
    groups: groups.filter((group) => group.namespace === namespace),
  }));
}

export interface LinkQuestion {
  readonly leaves: readonly Leaf[];
  readonly rows: readonly PageGroup[];
  readonly columns: readonly Column[];
  readonly when: When;
  readonly cluster: Cluster;
}

/** Finds who may talk to whom, a leaf at a time: each time it returns the links that were found until now. */
export function* linksOf(comparison: Comparison, question: LinkQuestion): Generator<readonly Link[]> {
  const { leaves, rows, columns, when, cluster } = question;
  const shown = new Set(rows);
  const columnsByGroup = Map.groupBy(columns, ({ group }) => group);
  const ruled = new Ruled(cluster, when);
  const links: Link[] = [];
  yield links;
  for (const [from, source] of leaves.entries()) {
    const sources = source.groups.filter((group) => shown.has(group));
    for (const [to, target] of leaves.entries()) {
      const cells = sources.flatMap((group) =>
        target.groups.flatMap((other) =>
          (columnsByGroup.get(other) ?? []).map(({ port }) => ({ from: group, to: other, port })),
        ),
      );
      const open = cells.filter((cell) => isOpen(comparison, cell, when));
      const changed = cells.map((cell) => comparison.change(cell));
      const change = (['opens', 'closes'] as const).find((wanted) => changed.includes(wanted));
      if (open.length === 0 && change === undefined) continue;
      const isRuled = open.some((cell) => ruled.is(cell.from, 'egress') || ruled.is(cell.to, 'ingress'));
      const ports = [...new Set(open.map(({ port }) => portText(port)))];
      links.push({ from, to, ports, isRuled, change });
    }
    yield links;
  }
}

function isOpen(comparison: Comparison, cell: Parameters<Comparison['state']>[0], when: When): boolean {
  const state = comparison.state(cell, when);
  return state === 'allowed' || state === 'audit' || state === 'mixed';
}

/** Whether any policy selects a group's pods for a direction. */
class Ruled {
  readonly #cluster: Cluster;
  readonly #when: When;
  readonly #known = new Map<string, boolean>();

  constructor(cluster: Cluster, when: When) {
    this.#cluster = cluster;
    this.#when = when;
  }

  is(group: PageGroup, direction: Direction): boolean {
    const key = `${group.index} ${direction}`;
    const known = this.#known.get(key) ?? this.#look(group, direction);
    this.#known.set(key, known);
    return known;
  }

  #look({ namespace, members }: PageGroup, direction: Direction): boolean {
    const [pod] = members[this.#when];
    if (pod === undefined || pod.hostNetwork) return false;
    return [...this.#cluster.policies.values()].some(
      (policy) =>
        policy[direction] !== undefined &&
        policy.namespace === namespace &&
        selectorMismatch(policy.podSelector, pod.labels) === undefined,
    );
  }
}
