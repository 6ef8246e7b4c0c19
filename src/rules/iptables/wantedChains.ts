import { familyOf, type IpFamily } from '../../net/family.ts';
import type { WantedChains } from './chainPlan.ts';
import { EGRESS_CHAIN, INGRESS_CHAIN } from '../names.ts';
import { QUARANTINE, type AttachedPod } from '../pod.ts';
import { podChains, podHookRules } from './podChains.ts';
import { profileRules } from './profileChain.ts';
import { podChainNames } from './podRestore.ts';
import type { WantedPolicy } from '../wanted.ts';

/** Returns what one family's filter table should hold for these attachments under this policy. */
export function wantedChains(
  pods: readonly AttachedPod[],
  { family, profiles }: { readonly family: IpFamily; readonly profiles: WantedPolicy['profiles'] },
): WantedChains {
  // ADD writes only in the families of the pod's addresses; the lock of the other family is the agent's from the start.
  const isPending = ({ hooks, judgements }: AttachedPod) =>
    judgements === undefined && hooks.addresses.some((address) => familyOf(address) === family);
  const settled = pods.filter((pod) => !isPending(pod));
  const hooks = settled.map((pod) => podHookRules(pod.hooks, family));
  return {
    profiles: [...profiles.values()].map((profile) => ({ name: profile.name, rules: profileRules(profile, family) })),
    podChains: settled.flatMap((pod) => podChains(pod.hooks, { family, judgements: pod.judgements ?? QUARANTINE })),
    hooks: {
      [EGRESS_CHAIN]: hooks.flatMap((rules) => rules[EGRESS_CHAIN]),
      [INGRESS_CHAIN]: hooks.flatMap((rules) => rules[INGRESS_CHAIN]),
    },
    pending: new Set(pods.filter(isPending).flatMap((pod) => podChainNames(pod.hooks))),
  };
}
