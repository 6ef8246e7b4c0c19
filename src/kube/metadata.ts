import { quote } from '../net/quote.ts';
import type { Field } from './field.ts';
import { decodeAnnotations, decodeLabels } from './labels.ts';
import type { Labels } from './labels.ts';
import { isDnsLabel, isDnsSubdomain } from './names.ts';

/** The fields of meta/v1 ObjectMeta that are read of a namespaced object. */
export interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string | undefined;
  readonly labels: Labels;
  readonly annotations: Labels;
}

/** Decodes the metadata of a pod or policy. No namespace means `default`, as for every client of the API. */
export function decodeMetadata(field: Field): Metadata {
  return {
    name: decodeDnsSubdomain(field.child('name')),
    namespace: decodeDnsLabel(field.child('namespace'), 'default'),
    uid: field.child('uid').string() || undefined,
    labels: decodeLabels(field.child('labels')),
    annotations: decodeAnnotations(field.child('annotations')),
  };
}

/** Decodes the name of a namespace; where there is none, it is `absent`, or else a problem. */
export function decodeDnsLabel(field: Field, absent?: string): string {
  const name = field.string() || absent;
  if (name === undefined) return field.fail('Missing name: every object has one', '');
  if (isDnsLabel(name)) return name;
  const shape = 'must be at most 63 lower-case letters, digits and "-", and start and end with a letter or digit';
  return field.fail(`Cannot use ${quote(name)}: ${shape}`, name);
}

/** Decodes the name of a pod, policy or node. */
export function decodeDnsSubdomain(field: Field): string {
  const name = field.string();
  if (name === '') return field.fail('Missing name: every object has one', '');
  if (isDnsSubdomain(name)) return name;
  const shape =
    'must be at most 253 lower-case letters, digits, "-" and ".", and each part between dots start and end with a letter or digit';
  return field.fail(`Cannot use ${quote(name)}: ${shape}`, name);
}
