import type { Cluster } from '../kube/cluster.ts';
import type { Labels } from '../kube/labels.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import { objectKey, type Pod } from '../kube/pod.ts';
import { familyOf } from '../net/family.ts';
import { PROTOCOLS, type Protocol } from '../net/protocol.ts';
import { evaluate } from './evaluate.ts';
import { partiesOf, type Flow, type Party } from './flow.ts';
import { selects } from './selector.ts';
import { suggestedPolicies, type Need, type SuggestedPeer, type SuggestedPolicy } from './suggestedPolicies.ts';
import { workloadLabels } from './workloadLabels.ts';

/** A flow that somebody has seen, by the addresses that policies see. */
export interface SeenFlow {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: number | null;
  readonly packets: number;
  /** ISO 8601. */
  readonly lastSeen: string;
}

export interface Suggestion {
  readonly policies: readonly SuggestedPolicy[];
  /** What cannot be allowed by a policy, and why; for people. */
  readonly notes: readonly string[];
}

/**
 * Returns the smallest policies that allow these flows once every policy of the cluster refuses, those in audit mode too. What is allowed already
 * needs none. They allow no other ports and no other workloads, and isolate no pod that nothing isolates.
 */
export function suggest(cluster: Cluster, flows: readonly SeenFlow[]): Suggestion {
  const enforced = withoutAudit(cluster);
  const found = flows.flatMap((seen) => needsOf(enforced, seen));
  const needs = found.filter((need) => typeof need !== 'string');
  const notes = new Set(found.filter((need) => typeof need === 'string'));
  return { policies: suggestedPolicies(needs, new Set(cluster.policies.keys())), notes: [...notes].toSorted() };
}

/** Returns the cluster as it will be when nothing is in audit mode any more. */
export function withoutAudit({ namespaces, pods, policies }: Cluster): Cluster {
  return { namespaces: enforcing(namespaces), pods, policies: enforcing(policies) };
}

function enforcing<T extends { readonly audit?: true }>(objects: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map(
    [...objects].map(([key, object]) => {
      const { audit: _, ...rest } = object;
      return [key, rest as T];
    }),
  );
}

/** Returns what each end needs that refuses the flow, or why it cannot have it. */
function needsOf(cluster: Cluster, seen: SeenFlow): readonly (Need | string)[] {
  const protocol = PROTOCOLS.find((known) => known === seen.protocol);
  const text = `${seen.from} -> ${seen.to} ${seen.port === null ? '' : `${seen.port}/`}${seen.protocol}`;
  if (protocol === undefined) return [`${text}: a NetworkPolicy cannot name this protocol`];
  if (seen.port === null || seen.port < 1 || seen.port > 65_535)
    return [`${text}: a NetworkPolicy cannot name this port`];
  const flow: Flow = { from: endOf(seen.from), to: endOf(seen.to), protocol, port: seen.port };
  const verdict = evaluate(cluster, flow);
  const parties = partiesOf(cluster, flow);
  return (['egress', 'ingress'] as const)
    .filter((direction) => verdict[direction].kind === 'refused')
    .map((direction) => {
      const [self, peer] = direction === 'egress' ? [parties.from, parties.to] : [parties.to, parties.from];
      return needOf(cluster, { direction, self, peer, protocol, port: flow.port, seen, text });
    });
}

function endOf(address: string) {
  return { kind: 'address', address } as const;
}

interface Side {
  readonly direction: Direction;
  readonly self: Party;
  readonly peer: Party;
  readonly protocol: Protocol;
  readonly port: number;
  readonly seen: SeenFlow;
  readonly text: string;
}

function needOf(cluster: Cluster, { direction, self, peer, protocol, port, seen, text }: Side): Need | string {
  if (self.kind !== 'pod') return `${text}: nothing isolates ${direction} of an address that is no pod's`;
  const podLabels = subjectLabels(cluster, { pod: self.pod, direction });
  if (podLabels === undefined)
    return `${text}: pod ${objectKey(self.pod)} has no labels of its own to select it by; give its workload an "app" label`;
  return {
    namespace: self.pod.namespace,
    podLabels,
    direction,
    peer: peerOf(cluster, { self: self.pod, peer }),
    protocol,
    port,
    evidence: {
      peer: peer.kind === 'pod' ? `${objectKey(peer.pod)} (${peer.address})` : (peer.address ?? ''),
      packets: seen.packets,
      lastSeen: seen.lastSeen,
    },
  };
}

/** Who is selected for a direction is isolated: the selector must mean nobody that was not. */
function subjectLabels(
  { pods, policies }: Cluster,
  { pod, direction }: { readonly pod: Pod; readonly direction: Direction },
): Labels | undefined {
  const isolating = [...policies.values()].filter(
    (policy) => policy.namespace === pod.namespace && policy[direction] !== undefined,
  );
  const isIsolated = ({ labels }: Pod) => isolating.some(({ podSelector }) => selects(podSelector, labels));
  const neighbours = [...pods.values()].filter(({ namespace }) => namespace === pod.namespace);
  return workloadLabels(pod.labels).find((labels) =>
    neighbours.filter((one) => hasLabels(one, labels)).every(isIsolated),
  );
}

function hasLabels({ labels }: Pod, wanted: Labels): boolean {
  return [...wanted].every(([key, value]) => labels.get(key) === value);
}

/** A pod is named by labels where it has any, and its namespace is known to have its name as one. */
function peerOf({ namespaces }: Cluster, { self, peer }: { readonly self: Pod; readonly peer: Party }): SuggestedPeer {
  const [labels] = peer.kind === 'pod' ? workloadLabels(peer.pod.labels) : [];
  const address = peer.address ?? '';
  if (peer.kind !== 'pod' || labels === undefined) return blockOf(address);
  if (peer.pod.namespace === self.namespace) return { podLabels: labels };
  return namespaces.has(peer.pod.namespace) ? { namespace: peer.pod.namespace, podLabels: labels } : blockOf(address);
}

function blockOf(address: string): SuggestedPeer {
  return { cidr: `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}` };
}
