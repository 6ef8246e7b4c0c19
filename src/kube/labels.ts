import { quote } from '../net/quote.ts';
import type { Field } from './field.ts';
import { isLabelKey, isLabelValue } from './names.ts';
import { Shared, sharedText } from './shared.ts';

/** Labels or annotations. A map and not an object: keys come from outside, `constructor` is a valid one. */
export type Labels = ReadonlyMap<string, string>;

const shared = new Shared<Labels>(4096);

/** Decodes a map of labels (API conventions: "Label selectors", syntax and character set of keys and values). Equal maps are mostly the same one. */
export function decodeLabels(field: Field): Labels {
  const labels = field
    .entries()
    .map(([key, value]) => [sharedText(decodeLabelKey(key, value)), sharedText(decodeLabelValue(value))] as const);
  // Unambiguous also for what was refused: a bad pod must not leave its labels to a good one.
  return shared.get(JSON.stringify(labels), new Map(labels));
}

/** Checks a label's key that was found at `field` and returns it. */
export function decodeLabelKey(key: string, field: Field): string {
  if (isLabelKey(key)) return key;
  const shape = 'a label key is at most 63 letters, digits, "-", "_", "." after an optional DNS prefix and "/"';
  return field.fail(`Cannot use key ${quote(key)}: ${shape}`, key);
}

/** Decodes a label's value: empty, or up to 63 characters. */
export function decodeLabelValue(field: Field): string {
  const value = field.string();
  if (isLabelValue(value)) return value;
  const shape =
    'a label value is at most 63 letters, digits, "-", "_", ".", and starts and ends with a letter or digit';
  return field.fail(`Cannot use ${quote(value)}: ${shape}`, value);
}

/** Decodes a map of annotations, whose values are any text. */
export function decodeAnnotations(field: Field): Labels {
  return new Map(field.entries().map(([key, value]) => [key, value.string()]));
}
