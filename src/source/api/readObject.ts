import type { KubeObject } from '../../kube/cluster.ts';
import { MODE_ANNOTATION } from '../../kube/auditMode.ts';
import { decodeObjects } from '../../kube/decode.ts';
import { DecodeError } from '../../kube/decodeError.ts';
import type { NetworkPolicy } from '../../kube/networkPolicy.ts';
import { printable } from '../../net/quote.ts';
import type { SourceProblem } from '../source.ts';
import { child, keyOf, metaOf, type JsonObject } from './apiObject.ts';

/** An object that the API server took and we cannot read: it may be newer than we are. */
export interface Unusable<T> {
  readonly kind: 'unusable';
  readonly problem: SourceProblem;
  /** What is in force in its place. */
  readonly standIn: T | undefined;
}

/**
 * Returns a reader of one kind of object. One that cannot be read is told of, and closes: a pod is nobody's peer and unknown on its own node, a
 * namespace has no labels, and a policy isolates what it selects and allows nothing. Where nothing but the mode is wrong, the rest is in force.
 */
export function reader<T extends KubeObject>(
  kind: T['kind'],
  apiVersion: string,
): (object: JsonObject) => T | Unusable<T> | undefined {
  return (object) => {
    try {
      // The items of a list have no kind of their own.
      return decodeObjects({ ...object, kind, apiVersion })[0] as T | undefined;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const where = printable(`${kind} ${keyOf(object)}`);
      const problem = { where, line: undefined, message: printable(error.message) };
      const standIn =
        enforced({ ...object, kind, apiVersion }) ?? (kind === 'NetworkPolicy' ? closed(object) : undefined);
      return { kind: 'unusable', problem, standIn: standIn as T | undefined };
    }
  };
}

/** Returns what an object says that has nothing else wrong with it than its mode: a policy that is not known to be in audit mode refuses. */
function enforced(object: JsonObject): KubeObject | undefined {
  const metadata = child(object, 'metadata');
  const { [MODE_ANNOTATION]: mode, ...annotations } = child(metadata, 'annotations');
  if (mode === undefined) return undefined;
  try {
    return decodeObjects({ ...object, metadata: { ...metadata, annotations } })[0];
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** Returns a policy that closes all that this one selects, or all of its namespace where even that cannot be read. */
function closed(policy: JsonObject): NetworkPolicy | undefined {
  const { podSelector, egress, policyTypes: given } = child(policy, 'spec');
  const { namespace, name } = metaOf(policy);
  const policyTypes = isEmpty(given) ? ['Ingress', ...(isEmpty(egress) ? [] : ['Egress'])] : given;
  const decoded = [
    { podSelector, policyTypes },
    { podSelector, policyTypes: BOTH },
    { podSelector: {}, policyTypes: BOTH },
  ]
    .map((spec) => ({ kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', metadata: { namespace, name }, spec }))
    .map(decodedPolicy);
  return decoded.find((found) => found !== undefined);
}

const BOTH = ['Ingress', 'Egress'];

function isEmpty(list: unknown): boolean {
  return list === undefined || list === null || (Array.isArray(list) && list.length === 0);
}

function decodedPolicy(value: JsonObject): NetworkPolicy | undefined {
  try {
    const [policy] = decodeObjects(value);
    if (policy?.kind !== 'NetworkPolicy') return undefined;
    // Without a rule a direction that is isolated allows nothing.
    return {
      ...policy,
      ingress: policy.ingress === undefined ? undefined : [],
      egress: policy.egress === undefined ? undefined : [],
    };
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
