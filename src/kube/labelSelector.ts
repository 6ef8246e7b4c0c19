import { show } from './field.ts';
import type { Field } from './field.ts';
import { decodeLabelKey, decodeLabels, decodeLabelValue } from './labels.ts';
import type { Labels } from './labels.ts';

export type LabelSelectorRequirement =
  | { readonly operator: 'In' | 'NotIn'; readonly key: string; readonly values: readonly string[] }
  | { readonly operator: 'Exists' | 'DoesNotExist'; readonly key: string };

/** A meta/v1 LabelSelector: all of `matchLabels` and all of `matchExpressions` must hold; the empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels: Labels;
  readonly matchExpressions: readonly LabelSelectorRequirement[];
}

/** Decodes a selector; an absent one is the empty one, as for a field that is no pointer. `hint` is for fields astray. */
export function decodeLabelSelector(field: Field, hint: (key: string) => string | undefined): LabelSelector {
  field.allowOnly(['matchLabels', 'matchExpressions'], hint);
  return {
    matchLabels: decodeLabels(field.child('matchLabels')),
    matchExpressions: field.list('matchExpressions', (element) => decodeRequirement(element, hint)),
  };
}

/** Goes on for a requirement that was refused. */
const NO_REQUIREMENT: LabelSelectorRequirement = { operator: 'Exists', key: '' };

function decodeRequirement(field: Field, hint: (key: string) => string | undefined): LabelSelectorRequirement {
  field.allowOnly(['key', 'operator', 'values'], hint);
  const keyField = field.child('key');
  const key = decodeLabelKey(keyField.string(), keyField);
  const values = field.list('values', decodeLabelValue);
  const operator = field.child('operator');
  switch (operator.value) {
    case 'In':
    case 'NotIn':
      if (values.length > 0) return { operator: operator.value, key, values };
      return field
        .child('values')
        .fail(`Missing values: operator "${operator.value}" needs one or more`, NO_REQUIREMENT);
    case 'Exists':
    case 'DoesNotExist':
      if (values.length === 0) return { operator: operator.value, key };
      return field.child('values').fail(`Cannot use values: operator "${operator.value}" takes none`, NO_REQUIREMENT);
    default:
      return operator.fail(
        `Cannot use ${show(operator.value)}: must be "In", "NotIn", "Exists" or "DoesNotExist"`,
        NO_REQUIREMENT,
      );
  }
}
