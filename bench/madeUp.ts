import type { Manifest, PodManifest } from '../test/lab/manifests.ts';
import { realistic } from './realisticPod.ts';

type Labels = Readonly<Record<string, string>>;

/** The namespace of everything but the large clusters. */
export const NAMESPACE = 'bench';

/** As many kinds of pods as the fullest node has pods: policies that are spread over them select one pod each. */
const APPS = 250;
const PEER_GROUPS = 10;

export interface MadeUpPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly address: string;
}

/** Pods that a part makes for different ends, by the third byte that their addresses begin with. */
const KINDS = { pod: 0, tested: 8, crowd: 16, peer: 24, local: 32 };

/** Returns a pod of this kind. */
export function madeUpPod(kind: keyof typeof KINDS, index: number): MadeUpPod {
  const name = `${kind}-${index}`;
  const address = `10.245.${KINDS[kind] + (index >> 8)}.${index & 0xff}`;
  return { namespace: NAMESPACE, name, uid: `uid-${name}`, labels: { app: `a${index % APPS}` }, address };
}

/** Returns the object of a pod that is on a node; without its address if the runtime has yet to tell it. */
export function podManifest(
  { namespace, name, uid, labels, address }: MadeUpPod,
  { nodeName, told = true }: { readonly nodeName: string; readonly told?: boolean },
): PodManifest {
  const status = told ? { phase: 'Running', podIP: address, podIPs: [{ ip: address }] } : { phase: 'Pending' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid, labels },
    spec: { nodeName, containers: [{ name: 'main', image: 'none' }] },
    status,
  };
}

/** Returns the namespace and 100 pods of another node, whom `spreadPolicies` name as peers. */
export function surroundings(): readonly Manifest[] {
  const peers = numbers(100).map((index) => ({
    ...madeUpPod('peer', index),
    labels: { peer: `g${index % PEER_GROUPS}` },
  }));
  return [namespaceManifest(NAMESPACE), ...peers.map((pod) => podManifest(pod, { nodeName: 'node-2' }))];
}

/** Returns policies that are spread evenly over the pods of a full node, each with peers by label and by network. */
export function spreadPolicies(count: number, prefix = 'spread'): readonly Manifest[] {
  return numbers(count).map((index) =>
    policy(`${prefix}-${index}`, {
      podSelector: { matchLabels: { app: `a${index % APPS}` } },
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { peer: `g${index % PEER_GROUPS}` } } },
            { ipBlock: { cidr: `172.${16 + (index % 16)}.${index % 256}.0/24` } },
          ],
          ports: [{ protocol: 'TCP', port: 8000 + (index % 100) }],
        },
      ],
    }),
  );
}

export function policy(name: string, spec: Readonly<Record<string, unknown>>, namespaceName = NAMESPACE): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: namespaceName, name },
    spec,
  };
}

function namespaceManifest(name: string, labels: Labels = {}): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export interface ClusterSize {
  readonly pods: number;
  readonly namespaces: number;
  readonly policies: number;
}

/** How many of a large cluster's pods are on the measured node, `node-1`. */
export const LOCAL_PODS = 30;

const TIERS = ['web', 'db', 'cache'];
const LARGE_CLUSTER_APPS = 20;
const TEAMS = 10;

/** Returns the objects of a large cluster without its local pods: namespaces of teams, pods of apps and tiers, policies by namespace and label. */
export function* largeCluster({ pods, namespaces, policies }: ClusterSize): Generator<Manifest> {
  for (const index of numbers(namespaces)) yield namespaceManifest(`ns-${index}`, { team: `t${index % TEAMS}` });
  for (const index of numbers(policies)) yield largeClusterPolicy(index, namespaces);
  for (const index of numbers(pods - LOCAL_PODS)) yield remotePod(index, { namespaces });
}

function largeClusterPolicy(index: number, namespaces: number): Manifest {
  const spec = {
    podSelector: { matchLabels: { app: `app-${index % LARGE_CLUSTER_APPS}` } },
    ingress: [
      {
        from: [
          { podSelector: { matchLabels: { tier: 'web' } } },
          {
            namespaceSelector: { matchLabels: { team: `t${index % TEAMS}` } },
            podSelector: { matchLabels: { tier: 'cache' } },
          },
        ],
        ports: [{ protocol: 'TCP', port: 8080 }],
      },
    ],
  };
  return policy(`policy-${index}`, spec, `ns-${index % namespaces}`);
}

/** Returns a pod of another node. `turn` is raised for another address and another tier: a pod that was made again, or labelled anew. */
export function remotePod(
  index: number,
  { namespaces, turn = 0 }: { readonly namespaces: number; readonly turn?: number },
): Manifest {
  const at = index + turn * 7;
  const address = `10.${100 + (turn % 50) * 3 + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}`;
  const app = `app-${index % LARGE_CLUSTER_APPS}`;
  const hash = `${(index % 1000).toString(16)}c9f4d6b5`;
  const labels = { app, tier: TIERS[at % TIERS.length] ?? '', 'pod-template-hash': hash };
  const uid = `${index.toString(16).padStart(8, '0')}-4d1c-4b0a-9f3e-${turn.toString(16).padStart(12, '0')}`;
  const pod = { namespace: `ns-${index % namespaces}`, name: `${app}-${hash}-${index}`, uid, labels, address };
  return realistic(podManifest(pod, { nodeName: `ip-10-0-${2 + (index % 5000)}.eu-central-1.compute.internal` }));
}

/** Returns the pods of the measured node, in the first namespaces. */
export function localPodsOf({ namespaces }: ClusterSize): readonly MadeUpPod[] {
  return numbers(LOCAL_PODS).map((index) => ({
    ...madeUpPod('local', index),
    namespace: `ns-${index % Math.min(10, namespaces)}`,
    labels: { app: `app-${index % LARGE_CLUSTER_APPS}`, tier: TIERS[index % TIERS.length] ?? '' },
  }));
}

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}
