import type { Direction } from '../kube/networkPolicy.ts';
import { END_CHAINS, isPodChain } from '../rules/names.ts';
import { NFT_END_CHAINS } from '../rules/nftables/names.ts';
import type { Step } from './walk.ts';

/** Returns the direction of the pod that refuses everything because nobody knows it: its own chain leads straight to where refusals end. */
export function quarantinedSide(steps: readonly Step[]): Direction | undefined {
  const step = steps.find(isQuarantine);
  if (step === undefined) return undefined;
  return /^(?:NWPLCY-PI-|inet to-)/.test(step.chain) ? 'ingress' : 'egress';
}

function isQuarantine({ chain, rule }: Step): boolean {
  if (isPodChain(chain)) return Object.values(END_CHAINS.denied).some((end) => rule.endsWith(`-g ${end}`));
  if (!/^inet (?:to|from)-[A-Z2-7]+$/.test(chain)) return false;
  return Object.values(NFT_END_CHAINS.denied).some((end) => rule === `goto ${end}`);
}
