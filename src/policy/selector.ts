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

/**
 * Returns a text that is equal for two selectors just when they say the same thing in another order: `app=web,tier in (a,b),!canary` as on
 * kubectl's command line, `*` for everything. What labels and their keys are made of never reads as anything else.
 */
export function selectorKey(selector: LabelSelector): string {
  const labels = [...selector.matchLabels].map(([key, value]) => `${key}=${value}`).sort();
  const expressions = selector.matchExpressions.map(requirementText).sort();
  return [...labels, ...expressions].join(',') || '*';
}

function requirementText(requirement: LabelSelectorRequirement): string {
  switch (requirement.operator) {
    case 'In':
      return `${requirement.key} in (${[...requirement.values].sort().join(',')})`;
    case 'NotIn':
      return `${requirement.key} notin (${[...requirement.values].sort().join(',')})`;
    case 'Exists':
      return requirement.key;
    case 'DoesNotExist':
      return `!${requirement.key}`;
  }
}
