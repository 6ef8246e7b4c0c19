import type { Labels } from '../kube/labels.ts';
import type { LabelSelector, LabelSelectorRequirement } from '../kube/labelSelector.ts';

/** Tells whether a selector selects an object with these labels (meta/v1 LabelSelector: all requirements are ANDed). */
export function selects(selector: LabelSelector, labels: Labels): boolean {
  for (const [key, value] of selector.matchLabels) if (labels.get(key) !== value) return false;
  return selector.matchExpressions.every((requirement) => holds(requirement, labels));
}

function holds(requirement: LabelSelectorRequirement, labels: Labels): boolean {
  const value = labels.get(requirement.key);
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value);
    case 'NotIn':
      // "NotIn" also selects objects that have no such label.
      return value === undefined || !requirement.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** Returns a text that is equal for two selectors just when they say the same thing in another order. */
export function selectorKey(selector: LabelSelector): string {
  const labels = [...selector.matchLabels].sort(([a], [b]) => compareText(a, b));
  const expressions = selector.matchExpressions
    .map((requirement) =>
      JSON.stringify([
        requirement.key,
        requirement.operator,
        'values' in requirement ? [...requirement.values].sort() : [],
      ]),
    )
    .sort();
  return JSON.stringify([labels, expressions]);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
