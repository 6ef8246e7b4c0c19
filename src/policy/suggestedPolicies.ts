import type { Labels } from '../kube/labels.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import type { Protocol } from '../net/protocol.ts';

/** One end of one flow that must be allowed. */
export interface Need {
  readonly namespace: string;
  /** Of the pods that the policy is for. */
  readonly podLabels: Labels;
  readonly direction: Direction;
  readonly peer: SuggestedPeer;
  readonly protocol: Protocol;
  readonly port: number;
  readonly evidence: Evidence;
}

/** Pods of the policy's own namespace, of another one, or one address. */
export type SuggestedPeer = { readonly podLabels: Labels; readonly namespace?: string } | { readonly cidr: string };

export interface Evidence {
  /** Who was at the other end. */
  readonly peer: string;
  readonly packets: number;
  readonly lastSeen: string;
}

export interface SuggestedPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly podLabels: Labels;
  /** The rules of each direction that it isolates for. */
  readonly rules: Readonly<Partial<Record<Direction, readonly SuggestedRule[]>>>;
}

export interface SuggestedRule {
  readonly peers: readonly SuggestedPeer[];
  readonly ports: readonly SuggestedPort[];
  /** Each peer at each port that was seen, the latest first. */
  readonly evidence: readonly (Evidence & SuggestedPort)[];
}

export interface SuggestedPort {
  readonly protocol: Protocol;
  readonly port: number;
}

/** Returns the policies that meet needs: one for all pods with the same labels, and in it one rule for all peers with the same ports. `taken` are keys of policies that there are. */
export function suggestedPolicies(needs: readonly Need[], taken: ReadonlySet<string>): readonly SuggestedPolicy[] {
  const names = new Set(taken);
  const groups = [...Map.groupBy(needs, ({ namespace, podLabels }) => `${namespace} ${labelsKey(podLabels)}`)];
  return groups
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, some]) => {
      const [first] = some;
      if (first === undefined) return [];
      const { namespace, podLabels } = first;
      const name = freeName(names, { namespace, podLabels });
      names.add(`${namespace}/${name}`);
      const directions = Map.groupBy(some, ({ direction }) => direction);
      const rules = Object.fromEntries([...directions].map(([direction, own]) => [direction, rulesOf(own)]));
      return { namespace, name, podLabels, rules };
    });
}

function rulesOf(needs: readonly Need[]): readonly SuggestedRule[] {
  const byPeer = [...Map.groupBy(needs, ({ peer }) => peerKey(peer))].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const rules = Map.groupBy(byPeer, ([, some]) => portsOf(some).map(portKey).join());
  return [...rules.values()].map((same) => {
    const all = same.flatMap(([, some]) => some);
    return {
      peers: same.flatMap(([, some]) => some.slice(0, 1).map(({ peer }) => peer)),
      ports: portsOf(all),
      evidence: evidenceOf(all),
    };
  });
}

function portsOf(needs: readonly Need[]): readonly SuggestedPort[] {
  const ports = new Map(needs.map(({ protocol, port }) => [portKey({ protocol, port }), { protocol, port }]));
  return [...ports.values()].toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

function evidenceOf(needs: readonly Need[]): SuggestedRule['evidence'] {
  const known = new Map<string, Evidence & SuggestedPort>();
  for (const { protocol, port, evidence } of needs) {
    const key = `${evidence.peer} ${portKey({ protocol, port })}`;
    const before = known.get(key);
    const packets = (before?.packets ?? 0) + evidence.packets;
    const isLater = before === undefined || evidence.lastSeen > before.lastSeen;
    known.set(key, { ...evidence, protocol, port, packets, lastSeen: isLater ? evidence.lastSeen : before.lastSeen });
  }
  return [...known.values()].toSorted((a, b) => (a.lastSeen > b.lastSeen ? -1 : 1));
}

function portKey({ protocol, port }: SuggestedPort): string {
  return `${port}/${protocol}`;
}

function labelsKey(labels: Labels): string {
  return JSON.stringify([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function peerKey(peer: SuggestedPeer): string {
  return 'cidr' in peer ? `block ${peer.cidr}` : `pods ${peer.namespace ?? ''} ${labelsKey(peer.podLabels)}`;
}

const LONGEST_NAME = 50;

/** Returns a name after the workload that no policy has. */
function freeName(
  taken: ReadonlySet<string>,
  { namespace, podLabels }: { readonly namespace: string; readonly podLabels: Labels },
): string {
  const [value = ''] = podLabels.values();
  const word = value.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const stem = `suggested-${word}`.slice(0, LONGEST_NAME).replace(/-+$/, '');
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? stem : `${stem}-${number}`;
    if (!taken.has(`${namespace}/${name}`)) return name;
  }
}
