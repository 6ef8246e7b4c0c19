import type { Cluster } from '../kube/cluster.ts';
import { isFinished, objectKey, type Pod } from '../kube/pod.ts';
import { selects } from '../policy/selector.ts';
import type { DeniedFlow, FlowEnd } from '../rendezvous/deniedFlow.ts';
import type { FlowRecord } from '../rules/recordedFlows.ts';

/** Returns the flows that the kernel has noted down, the latest first, in the words of a cluster: of pods and policies as they are now. */
export function deniedFlows(records: readonly FlowRecord[], cluster: Cluster): readonly DeniedFlow[] {
  const owners = ownersOf(cluster);
  const isolating = new Map<string, readonly string[]>();
  const policiesOf = (pod: Pod | undefined, { direction, kind }: Pick<FlowRecord, 'direction' | 'kind'>) => {
    if (pod === undefined) return [];
    const key = `${kind} ${direction} ${objectKey(pod)}`;
    const found = isolating.get(key) ?? isolatingPolicies(cluster, { pod, direction, kind });
    isolating.set(key, found);
    return found;
  };
  return records
    .toSorted((a, b) => b.lastSeen - a.lastSeen)
    .map(({ kind, direction, source, destination, protocol, port, packets, firstSeen, lastSeen }) => {
      const [from, to] = [owners.get(source), owners.get(destination)];
      return {
        audit: kind === 'audited',
        direction,
        from: endOf(source, from),
        to: endOf(destination, to),
        protocol,
        port: port ?? null,
        packets,
        firstSeen: new Date(firstSeen).toISOString(),
        lastSeen: new Date(lastSeen).toISOString(),
        policies: policiesOf(direction === 'egress' ? from : to, { direction, kind }),
      };
    });
}

function ownersOf({ pods }: Cluster): ReadonlyMap<string, Pod> {
  const owners = new Map<string, Pod>();
  for (const pod of pods.values()) if (!isFinished(pod)) for (const address of pod.addresses) owners.set(address, pod);
  return owners;
}

function endOf(address: string, pod: Pod | undefined): FlowEnd {
  return { address, pod: pod === undefined ? null : objectKey(pod) };
}

function isolatingPolicies(
  { policies, namespaces }: Cluster,
  { pod, direction, kind }: Pick<FlowRecord, 'direction' | 'kind'> & { readonly pod: Pod },
): readonly string[] {
  const isAudited = namespaces.get(pod.namespace)?.audit === true;
  return [...policies.values()]
    .filter(
      (policy) =>
        policy[direction] !== undefined &&
        policy.namespace === pod.namespace &&
        (isAudited || policy.audit === true) === (kind === 'audited') &&
        selects(policy.podSelector, pod.labels),
    )
    .map(objectKey)
    .toSorted();
}
