import type { PodJudgement } from './pod.ts';
import type { WantedPolicy } from './wanted.ts';

/** Returns who is judged by a profile: `ingress of NAMESPACE/POD`. */
export function judgedBy(profile: string, { judgements }: WantedPolicy): readonly string[] {
  const leadsThere = (judgement: PodJudgement) => judgement.kind === 'profile' && judgement.chain === profile;
  return [...judgements].flatMap(([key, { ingress, egress }]) => [
    ...(leadsThere(ingress) ? [`ingress of ${key}`] : []),
    ...(leadsThere(egress) ? [`egress of ${key}`] : []),
  ]);
}
