import type { Cluster } from '../kube/cluster.ts';
import type { Labels } from '../kube/labels.ts';
import type { Namespace } from '../kube/namespace.ts';
import type { NetworkPolicy } from '../kube/networkPolicy.ts';
import { objectKey, type Pod } from '../kube/pod.ts';

type Ports = Pick<Pod, 'namedPorts' | 'unnamedPorts'>;

/** A pod with its labels and ports as indexes: replicas have the same. What no verdict depends on, such as its uid, is left out. */
type PodJson = readonly [
  namespace: string,
  name: string,
  labels: number,
  ports: number,
  phase: Pod['phase'],
  addresses: readonly string[],
  nodeName?: string | null,
  hostNetwork?: 1,
];

/** What `clusterJson` writes, parsed; maps are still as `written` leaves them. */
interface ClusterJson {
  readonly namespaces: readonly unknown[];
  readonly policies: readonly unknown[];
  readonly pods: readonly PodJson[];
  readonly labels: readonly (readonly (readonly [string, string])[])[];
  readonly ports: readonly Ports[];
}

/** How many objects one portion has: some milliseconds' work. */
const AT_ONCE = 500;

/**
 * Returns a cluster as JSON, in portions, so that whoever has other things to do can do them in between. It is the cluster of the moment at which
 * the first portion is asked for: objects do not change, and which there are is taken down at once.
 */
export function* clusterJson({ namespaces, policies, pods }: Cluster): Generator<string> {
  const [allPods, allPolicies] = [[...pods.values()], [...policies.values()]];
  yield `{"namespaces":[${[...namespaces.values()].map(written).join()}],"policies":[`;
  yield* listed(allPolicies, written);
  yield '],"pods":[';
  const [labels, ports] = [new Indexed<Labels>(), new Indexed<Ports>()];
  yield* listed(allPods, (pod) => JSON.stringify(podJson(pod, { labels, ports })));
  yield '],"labels":[';
  yield* listed(labels.values(), (each) => JSON.stringify([...each]));
  yield '],"ports":[';
  yield* listed(ports.values(), (each) => JSON.stringify(each));
  yield ']}';
}

function* listed<Item>(items: readonly Item[], textOf: (item: Item) => string): Generator<string> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const text = items
      .slice(start, start + AT_ONCE)
      .map(textOf)
      .join();
    yield start === 0 ? text : `,${text}`;
  }
}

function podJson(
  { namespace, name, labels, namedPorts, unnamedPorts, phase, addresses, nodeName, hostNetwork }: Pod,
  indexes: { readonly labels: Indexed<Labels>; readonly ports: Indexed<Ports> },
): PodJson {
  const ports = { namedPorts, unnamedPorts };
  const always = [
    namespace,
    name,
    indexes.labels.indexOf(labels, () => JSON.stringify([...labels])),
    indexes.ports.indexOf(ports, () => JSON.stringify(ports)),
    phase,
    addresses,
  ] as const;
  return hostNetwork ? [...always, nodeName ?? null, 1] : nodeName === undefined ? always : [...always, nodeName];
}

/** Distinct values by their text, in the order in which they were first asked for. */
class Indexed<T> {
  readonly #indexes = new Map<string, { readonly index: number; readonly value: T }>();

  indexOf(value: T, text: () => string): number {
    const key = text();
    const known = this.#indexes.get(key) ?? { index: this.#indexes.size, value };
    this.#indexes.set(key, known);
    return known.index;
  }

  values(): readonly T[] {
    return [...this.#indexes.values()].map(({ value }) => value);
  }
}

const MAP = 'map';

/** Keys that others chose are in maps only: no object of ours has this one. */
function written(object: Namespace | NetworkPolicy): string {
  return JSON.stringify(object, (_, value: unknown) => (value instanceof Map ? { [MAP]: [...value] } : value));
}

/** Returns the cluster that `clusterJson` wrote, from the parsed JSON. */
export function clusterFromJson(json: unknown): Cluster {
  const { namespaces, policies, pods, labels, ports } = json as ClusterJson;
  const labelMaps = labels.map((entries) => new Map(entries));
  const byKey = <T extends { readonly namespace: string; readonly name: string }>(objects: readonly T[]) =>
    new Map(objects.map((object) => [objectKey(object), object]));
  return {
    namespaces: new Map(namespaces.map((each) => revived(each) as Namespace).map((each) => [each.name, each])),
    policies: byKey(policies.map((each) => revived(each) as NetworkPolicy)),
    pods: byKey(pods.map((each) => podFrom(each, { labelMaps, ports }))),
  };
}

const NO_LABELS: Labels = new Map();
const NO_PORTS: Ports = { namedPorts: [], unnamedPorts: [] };

function podFrom(
  [namespace, name, labels, portsAt, phase, addresses, nodeName, hostNetwork]: PodJson,
  { labelMaps, ports }: { readonly labelMaps: readonly Labels[]; readonly ports: readonly Ports[] },
): Pod {
  return {
    kind: 'Pod',
    namespace,
    name,
    uid: undefined,
    staticPodHash: undefined,
    labels: labelMaps[labels] ?? NO_LABELS,
    ...(ports[portsAt] ?? NO_PORTS),
    nodeName: nodeName ?? undefined,
    hostNetwork: hostNetwork === 1,
    phase,
    addresses,
  };
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== 'object' || value === null) return value;
  if (MAP in value) return new Map(value[MAP] as readonly (readonly [string, string])[]);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, revived(each)]));
}
