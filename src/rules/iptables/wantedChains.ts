import { familyOf, type IpFamily } from '../../net/family.ts';
import type { Rule } from './chain.ts';
import type { WantedChains } from './chainPlan.ts';
import type { EndForm } from './endChains.ts';
import { podHookRules, type Hook, type HookChain } from './hooks.ts';
import { EGRESS_CHAIN, INGRESS_CHAIN, SOURCES_CHAIN } from '../names.ts';
import { QUARANTINE, type AttachedPod, type PodHooks, type PodJudgements } from '../pod.ts';
import { podChains } from './podChains.ts';
import { profileChains } from './profileChain.ts';
import { podChainNames } from './podRestore.ts';
import type { WantedPolicy } from '../wanted.ts';

/** Returns what one family's filter table should hold for these attachments under this policy. */
export function wantedChains(
  pods: readonly AttachedPod[],
  {
    family,
    profiles,
    ends = RECORDING,
  }: { readonly family: IpFamily; readonly profiles: WantedPolicy['profiles']; readonly ends?: EndForm },
): WantedChains {
  // ADD writes only in the families of the pod's addresses; the lock of the other family is the agent's from the start.
  const isPending = ({ hooks, judgements }: AttachedPod) =>
    judgements === undefined && hooks.addresses.some((address) => familyOf(address) === family);
  const own = pods.filter((pod) => !isPending(pod)).map((pod) => podRules(pod, family));
  return {
    ...ofPods(own, family),
    profiles: profileRules(profiles, family),
    ends,
    pending: new Set(pods.filter(isPending).flatMap((pod) => podChainNames(pod.hooks))),
  };
}

const RECORDING: EndForm = { isRecording: true };

type OfPods = Pick<WantedChains, 'podChains' | 'hooks'>;

const last: Record<IpFamily, { readonly own: readonly PodRules[]; readonly result: OfPods } | undefined> = {
  ipv4: undefined,
  ipv6: undefined,
};

/** Returns the same as the last time if the pods' rules are the same. */
function ofPods(own: readonly PodRules[], family: IpFamily): OfPods {
  const known = last[family];
  if (known?.own.length === own.length && own.every((rules, index) => rules === known.own[index])) return known.result;
  const hooksIn = (chain: HookChain) => own.flatMap(({ hooks }) => hooks.filter((hook) => hook.chain === chain));
  const result = {
    podChains: new Map(own.flatMap(({ chains }) => chains)),
    hooks: {
      [EGRESS_CHAIN]: hooksIn(EGRESS_CHAIN),
      [SOURCES_CHAIN]: hooksIn(SOURCES_CHAIN),
      [INGRESS_CHAIN]: hooksIn(INGRESS_CHAIN),
    },
  };
  last[family] = { own, result };
  return result;
}

type ProfileRules = WantedChains['profiles'];

const ofProfiles: Readonly<Record<IpFamily, WeakMap<WantedPolicy['profiles'], ProfileRules>>> = {
  ipv4: new WeakMap(),
  ipv6: new WeakMap(),
};

/** Returns what is led to before what leads there. Profiles may lead to the same part. */
function profileRules(profiles: WantedPolicy['profiles'], family: IpFamily): ProfileRules {
  const known = ofProfiles[family].get(profiles);
  if (known !== undefined) return known;
  const rules = new Map<string, readonly Rule[]>();
  for (const profile of profiles.values())
    for (const chain of profileChains(profile, family).toReversed())
      if (!rules.has(chain.name)) rules.set(chain.name, chain.rules);
  ofProfiles[family].set(profiles, rules);
  return rules;
}

interface PodRules {
  readonly judgements: PodJudgements;
  readonly hooks: readonly Hook[];
  readonly chains: readonly (readonly [string, readonly Rule[]])[];
}

// Every pass asks for every pod.
const written: Readonly<Record<IpFamily, WeakMap<PodHooks, PodRules>>> = { ipv4: new WeakMap(), ipv6: new WeakMap() };

function podRules({ hooks, judgements = QUARANTINE }: AttachedPod, family: IpFamily): PodRules {
  const known = written[family].get(hooks);
  if (known?.judgements === judgements) return known;
  const made = {
    judgements,
    hooks: known?.hooks ?? podHookRules(hooks, family),
    chains: podChains(hooks, { family, judgements }).map(({ name, rules }) => [name, rules] as const),
  };
  written[family].set(hooks, made);
  return made;
}
