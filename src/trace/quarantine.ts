import type { Direction } from '../kube/networkPolicy.ts';
import { isPodChain, REJECT_CHAIN } from '../rules/names.ts';
import { REFUSE_CHAIN } from '../rules/nftables/names.ts';
import type { Step } from './walk.ts';

/** Returns the direction of the pod that refuses everything because nobody knows it: its own chain leads straight to where refusals end. */
export function quarantinedSide(steps: readonly Step[]): Direction | undefined {
  const step = steps.find(isQuarantine);
  if (step === undefined) return undefined;
  return /^(?:NWPLCY-PI-|inet to-)/.test(step.chain) ? 'ingress' : 'egress';
}

function isQuarantine({ chain, rule }: Step): boolean {
  if (isPodChain(chain)) return rule.endsWith(`-g ${REJECT_CHAIN}`);
  return /^inet (?:to|from)-[A-Z2-7]+$/.test(chain) && rule === `goto ${REFUSE_CHAIN}`;
}
