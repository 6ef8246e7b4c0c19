import type { Direction } from '../kube/networkPolicy.ts';
import type { Isolation, NodePolicy, PeerGroup, PodPolicy } from '../policy/model.ts';
import { OPEN, type PodJudgement, type PodJudgements } from './pod.ts';
import { profile, type Profile } from './profile.ts';

/** What the kernel should hold for a node's policy, before it is known which pods are attached under which address. */
export interface WantedPolicy {
  /** The peer groups that profiles name, by key. */
  readonly groups: ReadonlyMap<string, PeerGroup>;
  /** By name. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Where each local pod is judged, by `namespace/name`. */
  readonly judgements: ReadonlyMap<string, PodJudgements>;
}

/**
 * Returns the profiles and the judgements that a node's policy comes to. Pods with the same answer share a profile, and what was worked out for an
 * isolation before is the same object again.
 */
export function wantedPolicy({ pods, peerGroups }: NodePolicy): WantedPolicy {
  const made = ofPods.get(pods) ?? judged(pods);
  ofPods.set(pods, made);
  return { groups: peerGroups, ...made };
}

type OfPods = Omit<WantedPolicy, 'groups'>;

const ofPods = new WeakMap<NodePolicy['pods'], OfPods>();

function judged(pods: NodePolicy['pods']): OfPods {
  const profiles = new Map<string, Profile>();
  const judge = (isolation: Isolation, direction: Direction): PodJudgement => {
    if (isolation.kind === 'open') return OPEN.ingress;
    const made = known[direction].get(isolation) ?? make(isolation, direction);
    known[direction].set(isolation, made);
    profiles.set(made.profile.name, profiles.get(made.profile.name) ?? made.profile);
    return made.judgement;
  };
  const judgements = new Map<string, PodJudgements>();
  for (const [key, pod] of pods) {
    const [ingress, egress] = [judge(pod.ingress, 'ingress'), judge(pod.egress, 'egress')];
    const made = ofPod.get(pod) ?? { ingress, egress };
    ofPod.set(pod, made);
    judgements.set(key, made);
  }
  return { profiles, judgements };
}

interface Made {
  readonly profile: Profile;
  readonly judgement: PodJudgement;
}

const known: Readonly<Record<Direction, WeakMap<Isolation, Made>>> = { ingress: new WeakMap(), egress: new WeakMap() };

const ofPod = new WeakMap<PodPolicy, PodJudgements>();

function make({ kind, allows }: Exclude<Isolation, { kind: 'open' }>, direction: Direction): Made {
  const made = profile(allows, direction, { others: kind === 'audited' ? 'audited' : 'denied' });
  return { profile: made, judgement: { kind: kind === 'audited' ? 'audit' : 'profile', chain: made.name } };
}
