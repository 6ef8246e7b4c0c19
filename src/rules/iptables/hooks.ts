import { familyOf, type IpFamily } from '../../net/family.ts';
import { comment, hostAddress } from '../match.ts';
import { bucketName, EGRESS_CHAIN, INGRESS_CHAIN, podChainName, SOURCES_CHAIN } from '../names.ts';
import type { PodHooks } from '../pod.ts';
import type { Rule } from './chain.ts';

/** The chains into which ADD puts a pod's hooks. */
export const HOOK_CHAINS = [EGRESS_CHAIN, SOURCES_CHAIN, INGRESS_CHAIN] as const;

export type HookChain = (typeof HOOK_CHAINS)[number];

/**
 * A rule that leads packets of a pod to one of its chains.
 *
 * ADD puts it at the head of its chain, and on a node with few pods it stays there. A packet looks for its pod rule after rule, so that where hooks
 * have gathered the agent moves them into buckets.
 */
export interface Hook {
  readonly chain: HookChain;
  readonly rule: Rule;
  /** `undefined` where nothing is known to tell it from others by: then it stays at the head. */
  readonly bucket: Bucket | undefined;
}

/** A chain for those hooks that have something in common which one rule can tell. */
export interface Bucket {
  readonly name: string;
  /** The rule that leads there. */
  readonly jump: Rule;
}

/** How many hooks may stand at the head of a chain, for every packet to look through. */
export const MOST_AT_HEAD = 8;

/** Returns what a chain holds once hooks were put in as ADD does it. */
export function withHooks(present: readonly Rule[], hooks: readonly Hook[]): readonly Rule[] {
  return [...hooks.map(({ rule }) => rule).toReversed(), ...present];
}

/** What a source that no interface gave away is looked for by, once the hooks by interface were passed. */
export const TO_SOURCES: Rule = `-g ${SOURCES_CHAIN}`;

/**
 * Returns the hooks of a pod in one family.
 *
 * A destination address matches bridged and routed packets alike. The source is hooked twice: by the interface, which cannot be forged, and by the
 * address, because a packet that IPVS forwards leaves by OUTPUT and no longer tells where it came in. Who forges another pod's address meets his own
 * interface's hook first.
 */
export function podHookRules(pod: PodHooks, family: IpFamily): readonly Hook[] {
  const addresses = pod.addresses.filter((address) => familyOf(address) === family);
  const note = comment(`${pod.namespace}/${pod.name}`);
  const ingress = `${note} -g ${podChainName('ingress', pod)}`;
  const egress = `${note} -g ${podChainName('egress', pod)}`;
  return [
    ...interfaceHooks(pod, egress),
    ...addresses.map((address) =>
      addressHook(SOURCES_CHAIN, { address, rule: `-s ${hostAddress(address)} ${egress}` }),
    ),
    ...addresses.map((address) =>
      addressHook(INGRESS_CHAIN, { address, rule: `-d ${hostAddress(address)} ${ingress}` }),
    ),
  ];
}

function interfaceHooks({ hostInterface, bridged }: PodHooks, egress: string): readonly Hook[] {
  if (hostInterface === undefined) return [];
  // A bridge port shows as the bridge in `-i`; physdev sees the port, whether the packet is bridged on or routed.
  const match = bridged ? '-m physdev --physdev-in' : '-i';
  const rule = `${match} ${hostInterface} ${egress}`;
  const key = hostInterface.slice(0, INTERFACE_KEY_LENGTH);
  if (!/^[A-Za-z0-9._-]{5}$/.test(key)) return [{ chain: EGRESS_CHAIN, rule, bucket: undefined }];
  const name = bucketName(EGRESS_CHAIN, key);
  return [{ chain: EGRESS_CHAIN, rule, bucket: { name, jump: `${match} ${key}+ -g ${name}` } }];
}

// `veth` or `cali` and the first of the random hexadecimal digits that follow: 16 buckets. iptables knows interfaces by how their names begin.
const INTERFACE_KEY_LENGTH = 5;

/** Addresses are given out one after the other: their last four bits tell them apart best. */
function addressHook(
  chain: typeof SOURCES_CHAIN | typeof INGRESS_CHAIN,
  { address, rule }: { readonly address: string; readonly rule: Rule },
): Hook {
  const low = lastNumber(address) & 0xf;
  const key = low.toString(16);
  const name = bucketName(chain, key);
  const bits = familyOf(address) === 'ipv4' ? `0.0.0.${low}/0.0.0.15` : `::${low === 0 ? '' : key}/::f`;
  return { chain, rule, bucket: { name, jump: `${chain === SOURCES_CHAIN ? '-s' : '-d'} ${bits} -g ${name}` } };
}

function lastNumber(address: string): number {
  const [, separator, digits = ''] = /([.:])([0-9a-f]*)$/.exec(address) ?? [];
  return digits === '' ? 0 : Number.parseInt(digits, separator === '.' ? 10 : 16);
}
