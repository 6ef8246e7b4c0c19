import { quote } from '../net/quote.ts';
import type { KubeObject } from './cluster.ts';
import { decodeValue, show } from './field.ts';
import type { Field } from './field.ts';
import { decodeNamespace } from './namespace.ts';
import { decodeNetworkPolicy } from './networkPolicy.ts';
import { decodePod } from './pod.ts';

interface ReadKind {
  readonly kind: string;
  readonly apiVersions: readonly [string, ...string[]];
  readonly decode: (field: Field) => KubeObject;
}

const READ_KINDS: readonly ReadKind[] = [
  { kind: 'Namespace', apiVersions: ['v1'], decode: decodeNamespace },
  { kind: 'Pod', apiVersions: ['v1'], decode: decodePod },
  { kind: 'NetworkPolicy', apiVersions: ['networking.k8s.io/v1', 'extensions/v1beta1'], decode: decodeNetworkPolicy },
];

/**
 * Returns the namespaces, pods and policies that a Kubernetes object holds: itself, the items of a list, or nothing for a
 * kind that is not read. They are checked as the API server checks them on create.
 * @throws DecodeError
 */
export function decodeObjects(value: unknown): readonly KubeObject[] {
  return decodeValue(value, (field) => {
    const kind = field.child('kind').string();
    if (!isListKind(kind)) return decodeObject(field, undefined);
    // The API server leaves kind and apiVersion out of the items of a typed list.
    const itemKind = READ_KINDS.find((read) => kind === `${read.kind}List`);
    return field.list('items', (item) => decodeObject(item, itemKind)).flat();
  });
}

function isListKind(kind: string): boolean {
  return kind === 'List' || READ_KINDS.some((read) => kind === `${read.kind}List`);
}

function decodeObject(field: Field, itemKind: ReadKind | undefined): readonly KubeObject[] {
  const kindField = field.child('kind');
  const kind = kindField.string() || itemKind?.kind;
  if (kind === undefined) return kindField.fail('Missing kind: every Kubernetes object has one', []);
  // A YAML alias can make a list its own item.
  if (isListKind(kind)) return kindField.fail(`Cannot use ${show(kind)}: a list cannot hold a list`, []);
  const read = READ_KINDS.find((known) => known.kind.toLowerCase() === kind.toLowerCase());
  if (read === undefined) return [];
  if (read.kind !== kind) return kindField.fail(`Cannot use ${show(kind)}: write "${read.kind}"`, []);
  const apiVersionField = field.child('apiVersion');
  const apiVersion = apiVersionField.string() || (read === itemKind ? read.apiVersions[0] : '');
  if (read.apiVersions.includes(apiVersion)) return [read.decode(field)];
  // Another group's NetworkPolicy is another kind of object.
  if (isOtherGroup(apiVersion, read)) return [];
  return apiVersionField.fail(
    `Cannot use ${show(apiVersion)}: must be ${read.apiVersions.map(quote).join(' or ')}`,
    [],
  );
}

function isOtherGroup(apiVersion: string, read: ReadKind): boolean {
  const [group, version] = apiVersion.split('/');
  return version !== undefined && !read.apiVersions.some((known) => known.startsWith(`${group}/`));
}
