import { decodeMode, type AuditMode } from './auditMode.ts';
import type { Field } from './field.ts';
import { decodeLabels } from './labels.ts';
import type { Labels } from './labels.ts';
import { decodeDnsLabel } from './metadata.ts';

/** The fields of a v1 Namespace that policies look at. */
export interface Namespace extends AuditMode {
  readonly kind: 'Namespace';
  readonly name: string;
  /** Always holds `kubernetes.io/metadata.name`, which the API server sets to the namespace's name. */
  readonly labels: Labels;
}

/** Decodes a v1 Namespace. */
export function decodeNamespace(field: Field): Namespace {
  const metadata = field.child('metadata');
  const named = namespaceNamed(decodeDnsLabel(metadata.child('name')), decodeLabels(metadata.child('labels')));
  return { ...named, ...decodeMode(metadata) };
}

/** Returns the namespace as the API server would hold it: its name is a label too, whatever the manifest says. */
export function namespaceNamed(name: string, labels: Labels = new Map()): Namespace {
  return { kind: 'Namespace', name, labels: new Map([...labels, ['kubernetes.io/metadata.name', name]]) };
}
