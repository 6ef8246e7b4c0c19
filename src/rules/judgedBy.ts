import type { PodJudgement } from './pod.ts';
import type { WantedPolicy } from './wanted.ts';

/** Returns who is judged by each profile that judges anybody, by its name: `ingress of NAMESPACE/POD`. */
export function judgedBy({ judgements }: WantedPolicy): ReadonlyMap<string, readonly string[]> {
  const judged = new Map<string, string[]>();
  const note = (judgement: PodJudgement, who: string) => {
    if (judgement.kind !== 'profile' && judgement.kind !== 'audit') return;
    const known = judged.get(judgement.chain);
    const what = judgement.kind === 'audit' ? `${who} (audit)` : who;
    if (known === undefined) judged.set(judgement.chain, [what]);
    else known.push(what);
  };
  for (const [key, { ingress, egress }] of judgements) {
    note(ingress, `ingress of ${key}`);
    note(egress, `egress of ${key}`);
  }
  return judged;
}
