import { decodeObjects } from '../../src/kube/decode.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { objectKey } from '../../src/kube/pod.ts';
import type { Protocol } from '../../src/net/protocol.ts';

/** An object as it stands in a file: plain data, nothing of it checked. */
export type Manifest = Readonly<Record<string, unknown>>;

export type LabelsManifest = Readonly<Record<string, string>>;

/** What a test says of a pod; the rest is a running pod of node-1 without labels or ports. */
export interface PodFacts {
  readonly labels?: LabelsManifest;
  readonly addresses?: readonly string[];
  /** `''` for a pod that has no node yet. */
  readonly nodeName?: string;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  readonly ports?: readonly { readonly name: string; readonly protocol?: Protocol; readonly containerPort: number }[];
}

/** Returns the manifest of a Namespace. */
export function namespace(name: string, labels: LabelsManifest = {}): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

/** Returns the manifest of a Pod from its key, `namespace/name`. */
export function pod(
  key: string,
  { labels = {}, addresses = [], nodeName = 'node-1', hostNetwork, phase = 'Running', ports = [] }: PodFacts,
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadataOf(key), labels },
    spec: { nodeName, ...(hostNetwork && { hostNetwork }), containers: containersOf(ports) },
    status: { phase, podIPs: addresses.map((ip) => ({ ip })) },
  };
}

/** Returns the manifest of a NetworkPolicy from its key, `namespace/name`. */
export function policy(key: string, spec: Manifest): Manifest {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: metadataOf(key), spec };
}

/** Returns the cluster that the manifests make, decoded as every source does it. */
export function clusterOf(manifests: readonly Manifest[]): Cluster {
  const objects = manifests.flatMap(decodeObjects);
  return {
    namespaces: new Map(objects.filter((object) => object.kind === 'Namespace').map((object) => [object.name, object])),
    pods: new Map(objects.filter((object) => object.kind === 'Pod').map((object) => [objectKey(object), object])),
    policies: new Map(
      objects.filter((object) => object.kind === 'NetworkPolicy').map((object) => [objectKey(object), object]),
    ),
  };
}

// One container a port: the API server allows a name once in a container, and as often as one likes in a pod.
function containersOf(ports: NonNullable<PodFacts['ports']>): readonly Manifest[] {
  const withPorts = ports.map((port, index) => ({ name: `c${index}`, image: 'none', ports: [port] }));
  return [{ name: 'main', image: 'none' }, ...withPorts];
}

function metadataOf(key: string): Manifest {
  const [namespaceName, name] = key.split('/');
  return { namespace: namespaceName, name };
}
