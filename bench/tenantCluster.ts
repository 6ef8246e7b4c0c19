import type { ApiDouble } from '../test/helpers/apiDouble.ts';
import type { Manifest } from '../test/lab/manifests.ts';
import { numbers, podManifest, policy } from './madeUp.ts';
import { realistic } from './realisticPod.ts';

export interface TenantClusterSize {
  readonly nodes: number;
  readonly namespaces: number;
}

/** The measured node. */
export const NODE = 'node-0';
const PODS_OF_NODE = 30;
const DAEMONS = ['kube-proxy', 'cni', 'node-exporter'];
const LOCAL_NAMESPACES = 12;
const TEAM = 50;
const APPS = ['web', 'api', 'db'];

/** Where infrastructure is, and what its pods are labelled. */
const INFRASTRUCTURE = {
  'kube-system': { 'k8s-app': 'kube-dns' },
  'ingress-nginx': { app: 'ingress' },
  monitoring: { app: 'prometheus' },
};

/** Returns the objects of a cluster of many tenants, a namespace each. */
export function* tenantCluster(size: TenantClusterSize): Generator<Manifest> {
  for (const name of Object.keys(INFRASTRUCTURE)) yield applied(namespaceOf(name, {}));
  for (const index of numbers(size.namespaces)) {
    yield applied(namespaceOf(`ns-${index}`, { team: `t${Math.floor(index / TEAM)}` }));
    yield* policiesOf(`ns-${index}`).map(applied);
  }
  for (const [namespace, labels] of Object.entries(INFRASTRUCTURE))
    for (const index of numbers(20)) yield podOf({ namespace, name: `infra-${index}`, labels, node: 1 + index });
  for (const index of numbers(size.nodes * PODS_OF_NODE)) yield podAt(index, size);
}

/** As kubectl leaves it. */
function applied(object: Manifest): Manifest {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(object) };
  const fields = { 'f:metadata': { 'f:annotations': {}, 'f:labels': {} }, 'f:spec': {} };
  const managedFields = [{ manager: 'kubectl', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1: fields }];
  return { ...object, metadata: { ...object.metadata, annotations, managedFields } };
}

function namespaceOf(name: string, labels: Readonly<Record<string, string>>): Manifest {
  const metadata = { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } };
  return { apiVersion: 'v1', kind: 'Namespace', metadata };
}

function policiesOf(namespace: string): readonly Manifest[] {
  const from = (name: keyof typeof INFRASTRUCTURE) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
    podSelector: { matchLabels: INFRASTRUCTURE[name] },
  });
  const own = { podSelector: {} };
  return [
    policy(
      'default',
      {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from: [own] }],
        egress: [{ to: [own] }, { to: [from('kube-system')], ports: [{ protocol: 'UDP', port: 53 }] }],
      },
      namespace,
    ),
    policy(
      'web',
      {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [from('ingress-nginx'), from('monitoring')] }],
      },
      namespace,
    ),
  ];
}

/** Returns the pod that is `index` in the cluster. `turn` counts how often it was replaced. */
function podAt(index: number, { nodes, namespaces }: TenantClusterSize, turn = 0): Manifest {
  const node = Math.floor(index / PODS_OF_NODE);
  const daemon = DAEMONS[index % PODS_OF_NODE];
  if (daemon !== undefined)
    return podOf({ namespace: 'kube-system', name: `${daemon}-${node}-${turn}`, labels: { 'k8s-app': daemon }, node });
  const at = node === 0 ? index % LOCAL_NAMESPACES : (index * 7919) % namespaces;
  const labels = { app: APPS[index % APPS.length] ?? '', 'pod-template-hash': '6c9f4d6b5' };
  return podOf({
    namespace: `ns-${at}`,
    name: `app-${index}-${turn}`,
    labels,
    // The measured node keeps its pods, and no other pods come to it.
    node: node === 0 ? node : 1 + ((node + turn) % (nodes - 1)),
  });
}

function podOf({
  namespace,
  name,
  labels,
  node,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: number;
}): Manifest {
  const address = `10.${node >> 8}.${node & 255}.${name.length}`;
  return realistic(podManifest({ namespace, name, uid: `uid-${name}`, labels, address }, { nodeName: `node-${node}` }));
}

/** Yields what changes within an hour, in order: each changes the pods that the hour before has made. */
export function* changesIn(hour: number, size: TenantClusterSize): Generator<(api: ApiDouble) => void> {
  const pods = size.nodes * PODS_OF_NODE;
  const singles = numbers(Math.round(pods / 100)).map((index) => (index * 104_729) % pods);
  const rollouts = numbers(100).flatMap((rollout) => {
    const first = (rollout * 15_485_863) % pods;
    // Pods of one namespace are so far from each other.
    return numbers(20).map((index) => (first + index * size.namespaces) % pods);
  });
  for (const index of new Set([...singles, ...rollouts]))
    yield* replacement(podAt(index, size, hour), podAt(index, size, hour + 1));
}

/** A pod ends and another comes: of each it is told three times. */
function* replacement(before: Manifest, after: Manifest): Generator<(api: ApiDouble) => void> {
  const { namespace, name } = before.metadata;
  const ending = { ...before, metadata: { ...before.metadata, deletionTimestamp: '2026-01-05T10:20:30Z' } };
  yield (api) => api.put(ending);
  yield (api) => api.put({ ...ending, status: { phase: 'Failed' } });
  yield (api) => api.delete('Pod', `${namespace}/${name}`);
  yield (api) =>
    api.put({ ...after, spec: { ...(after['spec'] as object), nodeName: '' }, status: { phase: 'Pending' } });
  yield (api) => api.put({ ...after, status: { phase: 'Pending' } });
  yield (api) => api.put(after);
}
