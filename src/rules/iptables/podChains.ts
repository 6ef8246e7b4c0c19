import { familyOf, type IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import { END_CHAINS, podChainName } from '../names.ts';
import { hostAddress } from '../match.ts';
import type { PodHooks, PodJudgement, PodJudgements } from '../pod.ts';
import type { Chain } from './chain.ts';

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
    rules: [...addresses.map((address) => `-s ${address} -j RETURN`), judge('ingress', judgements.ingress)],
  };
  const egress = {
    name: podChainName('egress', hooks),
    rules: [
      ...addresses.map((address) => `-d ${address} -j RETURN`),
      ...addresses.map((address) => `-s ${address} ${judge('egress', judgements.egress)}`),
      '-j DROP',
    ],
  };
  if (addresses.length > 0) return [ingress, egress];
  return hooks.hostInterface === undefined ? [] : [egress];
}

function judge(direction: Direction, judgement: PodJudgement): string {
  switch (judgement.kind) {
    case 'open':
      return '-j RETURN';
    case 'profile':
    case 'audit':
      return `-g ${judgement.chain}`;
    case 'quarantine':
      return `-g ${END_CHAINS.denied[direction]}`;
  }
}

function addressesOf(hooks: PodHooks, family: IpFamily): readonly string[] {
  return hooks.addresses.filter((address) => familyOf(address) === family).map(hostAddress);
}
