import type { LabelSelector } from '../kube/labelSelector.ts';
import type { Labels } from '../kube/labels.ts';
import { selects } from './selector.ts';

/** What pods with certain labels are wanted for. */
export interface Selection<Target> {
  readonly pods: LabelSelector;
  readonly target: Target;
}

/** Finds the selections that select a pod among many without asking each of them. */
export class SelectionIndex<Target> {
  /** Each selection that wants labels is found under one of them: by key, then value. */
  readonly #byLabel = new Map<string, Map<string, Set<Selection<Target>>>>();
  readonly #others = new Set<Selection<Target>>();
  readonly #labels = new Map<Selection<Target>, readonly [key: string, value: string]>();

  get size(): number {
    return this.#labels.size + this.#others.size;
  }

  add(selection: Selection<Target>): void {
    const label = this.#rarest(selection.pods.matchLabels);
    if (label === undefined) {
      this.#others.add(selection);
      return;
    }
    const [key, value] = label;
    const byValue = this.#byLabel.get(key) ?? new Map<string, Set<Selection<Target>>>();
    this.#byLabel.set(key, byValue.set(value, (byValue.get(value) ?? new Set()).add(selection)));
    this.#labels.set(selection, label);
  }

  delete(selection: Selection<Target>): void {
    this.#others.delete(selection);
    const [key, value] = this.#labels.get(selection) ?? [];
    if (key === undefined || value === undefined) return;
    this.#labels.delete(selection);
    const byValue = this.#byLabel.get(key);
    const same = byValue?.get(value);
    same?.delete(selection);
    if (same?.size === 0) byValue?.delete(value);
    if (byValue?.size === 0) this.#byLabel.delete(key);
  }

  /** Returns what pods with these labels are wanted for: a target as often as it has selections that select them. */
  targetsOf(labels: Labels): readonly Target[] {
    const targets: Target[] = [];
    const take = (selections: Iterable<Selection<Target>>): void => {
      for (const { pods, target } of selections) if (selects(pods, labels)) targets.push(target);
    };
    take(this.#others);
    for (const [key, value] of labels) take(this.#byLabel.get(key)?.get(value) ?? []);
    return targets;
  }

  /** Which label says most cannot be known; the one that fewest ask for is the best guess. */
  #rarest(labels: Labels): readonly [key: string, value: string] | undefined {
    const asked = ([key, value]: readonly [string, string]) => this.#byLabel.get(key)?.get(value)?.size ?? 0;
    return [...labels].sort((a, b) => asked(a) - asked(b))[0];
  }
}
