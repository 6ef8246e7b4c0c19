import type { Direction } from '../kube/networkPolicy.ts';
import type { Isolation, NodePolicy, PeerGroup } from '../policy/model.ts';
import type { PodJudgement, PodJudgements } from './pod.ts';
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

/** Returns the profiles and the judgements that a node's policy comes to. Pods with the same answer share a profile. */
export function wantedPolicy(policy: NodePolicy): WantedPolicy {
  const profiles = new Map<string, Profile>();
  const known = { ingress: new Map<Isolation, PodJudgement>(), egress: new Map<Isolation, PodJudgement>() };
  const judge = (isolation: Isolation, direction: Direction): PodJudgement => {
    if (isolation.kind === 'open') return { kind: 'open' };
    const found = known[direction].get(isolation);
    if (found !== undefined) return found;
    const made = profile(isolation.allows, direction);
    profiles.set(made.name, made);
    const judgement = { kind: 'profile', chain: made.name } as const;
    known[direction].set(isolation, judgement);
    return judgement;
  };
  const judgements = new Map<string, PodJudgements>();
  for (const [key, pod] of policy.pods)
    judgements.set(key, { ingress: judge(pod.ingress, 'ingress'), egress: judge(pod.egress, 'egress') });
  return { groups: policy.peerGroups, profiles, judgements };
}
