import { CniError } from './errors.ts';

/** Whose sandbox a container is. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

// What Kubernetes runtimes send, in any order.
const KNOWN = new Set([
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
]);

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/**
 * Returns the pod that `CNI_ARGS` (`K=V;K=V`) names, or `undefined` when it names none. Throws a CniError for what is not of that form, for an unknown
 * key without `IgnoreUnknown` (CNI `CONVENTIONS.md`, "CNI_ARGS"), and for a name that no object of Kubernetes can have: both go into
 * paths and rules.
 */
export function parseCniArgs(text: string): PodIdentity | undefined {
  const args = parsePairs(text);
  const unknown = [...args.keys()].filter((key) => !KNOWN.has(key));
  if (unknown.length > 0 && !ignoresUnknown(args))
    throw argsError(`unknown ${unknown.map((key) => JSON.stringify(key)).join(', ')} without IgnoreUnknown=1`);
  const namespace = args.get('K8S_POD_NAMESPACE');
  const name = args.get('K8S_POD_NAME');
  if (namespace !== undefined && !DNS_LABEL.test(namespace))
    throw argsError('K8S_POD_NAMESPACE is not a DNS label (RFC 1123)');
  if (name !== undefined && !DNS_SUBDOMAIN.test(name))
    throw argsError('K8S_POD_NAME is not a DNS subdomain (RFC 1123)');
  if (namespace === undefined || name === undefined) return undefined;
  const uid = args.get('K8S_POD_UID');
  return { namespace, name, uid: uid === '' ? undefined : uid };
}

function parsePairs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  if (text === '') return args;
  for (const pair of text.split(';')) {
    const [key, value, ...more] = pair.split('=');
    if (key === undefined || key === '' || value === undefined || more.length > 0)
      throw argsError(`${JSON.stringify(pair)} is not of the form KEY=VALUE`);
    if (args.has(key)) throw argsError(`${JSON.stringify(key)} comes twice`);
    args.set(key, value);
  }
  return args;
}

function ignoresUnknown(args: ReadonlyMap<string, string>): boolean {
  const value = args.get('IgnoreUnknown')?.toLowerCase() ?? '0';
  if (!['0', '1', 'false', 'true'].includes(value)) throw argsError('IgnoreUnknown must be 1, 0, true or false');
  return value === '1' || value === 'true';
}

function argsError(problem: string): CniError {
  return new CniError('invalidEnvironment', {
    msg: `Cannot use CNI_ARGS: ${problem}`,
    details: 'CNI_ARGS must be "KEY=VALUE;KEY=VALUE"',
  });
}
