import type { IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { RecordKind, RecordPlace } from '../flowRecords.ts';
import { podChainName, setName } from '../names.ts';
import type { AttachmentId } from '../pod.ts';

/** The name of both of our tables, of family `inet` and of family `bridge`. They hold nothing that is not ours. */
export const TABLE_NAME = 'kube-nwplcy';

/** Where every refusal ends. */
export const REFUSE_CHAIN = 'refuse';
/** Where a direction ends for what no rule allows: it is noted down, and then refused or, in audit mode, let pass. */
export const NFT_END_CHAINS = {
  denied: { egress: 'refuse-egress', ingress: 'refuse-ingress' },
  audited: { egress: 'audit-egress', ingress: 'audit-ingress' },
} as const satisfies Record<RecordKind, Record<Direction, string>>;
/** Lets flows go on that were judged under the present generation. */
export const JUDGED_CHAIN = 'judged';
/** Marks a flow as judged under the present generation. */
export const SETTLE_CHAIN = 'settle';

/** The names of a pod's own chains: what goes to it, and what comes from it. */
export interface PodChainNames {
  readonly to: string;
  readonly from: string;
}

/** Returns the names of a pod's own chains. */
export function nftPodChainNames(attachment: AttachmentId): PodChainNames {
  return {
    to: `to-${digestOf(podChainName('ingress', attachment))}`,
    from: `from-${digestOf(podChainName('egress', attachment))}`,
  };
}

/** Tells whether a chain is a profile's. */
export function isNftProfileChain(name: string): boolean {
  return /^profile-[A-Z2-7]{20}$/.test(name);
}

/** Tells whether a set is a peer group's. */
export function isNftPeerSet(name: string): boolean {
  return /^peers[46]-[A-Z2-7]{20}$/.test(name);
}

/** Returns the names of the two sets of a place: of its flows, and of when they were last seen. */
export function nftRecordSetNames({ kind, direction, family }: RecordPlace): {
  readonly flows: string;
  readonly last: string;
} {
  const digit = family === 'ipv4' ? 4 : 6;
  return { flows: `${kind}-${direction}${digit}`, last: `${kind}-${direction}-last${digit}` };
}

/** Returns the name of a profile's chain, from the profile's name. */
export function nftProfileChainName(profile: string): string {
  return `profile-${digestOf(profile)}`;
}

/** Returns the name of the set of a peer group in one family. */
export function nftSetName(family: IpFamily, groupKey: string): string {
  return `peers${family === 'ipv4' ? 4 : 6}-${digestOf(setName(family, groupKey))}`;
}

/** Names end in their digest whatever the backend, so that one can be found by the other. */
function digestOf(name: string): string {
  return name.slice(name.lastIndexOf('-') + 1);
}
