import { familyOf, type IpFamily } from '../../net/family.ts';
import { EGRESS_CHAIN, INGRESS_CHAIN, podChainName, REJECT_CHAIN } from '../names.ts';
import { comment, hostAddress } from '../match.ts';
import type { PodHooks, PodJudgement, PodJudgements } from '../pod.ts';
import type { Chain, Rule } from './chain.ts';

/**
 * Returns the pod's own chains for one family.
 *
 * - ingress: the pod itself may always; then the judgement.
 * - egress: the pod to itself may always; each address of the pod is judged; any other source is forged and dropped. In a family
 *   without an address of the pod that is all there is: link-local addresses must not be a way around its policies.
 */
export function podChains(
  hooks: PodHooks,
  { family, judgements }: { readonly family: IpFamily; readonly judgements: PodJudgements },
): readonly Chain[] {
  const addresses = addressesOf(hooks, family);
  const ingress = {
    name: podChainName('ingress', hooks),
    rules: [...addresses.map((address) => `-s ${address} -j RETURN`), judge(judgements.ingress)],
  };
  const egress = {
    name: podChainName('egress', hooks),
    rules: [
      ...addresses.map((address) => `-d ${address} -j RETURN`),
      ...addresses.map((address) => `-s ${address} ${judge(judgements.egress)}`),
      '-j DROP',
    ],
  };
  if (addresses.length > 0) return [ingress, egress];
  return hooks.hostInterface === undefined ? [] : [egress];
}

/**
 * Returns the rules that lead the pod's packets of one family into its chains, by the chain that they stand in.
 * A destination address matches bridged and routed packets alike. The source is hooked twice: by the interface, which cannot be forged,
 * and by the address, because a packet that IPVS forwards leaves by OUTPUT and no longer tells where it came in.
 */
export function podHookRules(
  hooks: PodHooks,
  family: IpFamily,
): { readonly [EGRESS_CHAIN]: readonly Rule[]; readonly [INGRESS_CHAIN]: readonly Rule[] } {
  const addresses = addressesOf(hooks, family);
  const note = comment(`${hooks.namespace}/${hooks.name}`);
  const ingress = `-g ${podChainName('ingress', hooks)}`;
  const egress = `-g ${podChainName('egress', hooks)}`;
  return {
    [EGRESS_CHAIN]: [
      ...interfaceMatch(hooks).map((match) => `${match} ${note} ${egress}`),
      ...addresses.map((address) => `-s ${address} ${note} ${egress}`),
    ],
    [INGRESS_CHAIN]: addresses.map((address) => `-d ${address} ${note} ${ingress}`),
  };
}

function interfaceMatch({ hostInterface, bridged }: PodHooks): readonly string[] {
  if (hostInterface === undefined) return [];
  // A bridge port shows as the bridge in `-i`; physdev sees the port, whether the packet is bridged on or routed.
  return [bridged ? `-m physdev --physdev-in ${hostInterface}` : `-i ${hostInterface}`];
}

function judge(judgement: PodJudgement): string {
  switch (judgement.kind) {
    case 'open':
      return '-j RETURN';
    case 'profile':
      return `-g ${judgement.chain}`;
    case 'quarantine':
      return `-g ${REJECT_CHAIN}`;
  }
}

function addressesOf(hooks: PodHooks, family: IpFamily): readonly string[] {
  return hooks.addresses.filter((address) => familyOf(address) === family).map(hostAddress);
}
