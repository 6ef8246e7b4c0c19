import type { IpFamily } from '../net/family.ts';
import type { Direction } from '../kube/networkPolicy.ts';
import type { RecordKind, RecordPlace } from './flowRecords.ts';
import { idOf, type AttachmentId } from './pod.ts';
import { sha256 } from './sha256.ts';

// Never change these: an agent of the next version must recognise what this one left in the kernel.
/** The entry, jumped to from FORWARD and OUTPUT. Nothing else of ours may begin with `KUBE-`: another engine deletes what does. */
export const ENTRY_CHAIN = 'KUBE-NWPLCY-CHAIN';
/** Hooks on the source pod, by its interface. */
export const EGRESS_CHAIN = 'NWPLCY-EGRESS';
/** Hooks on the source pod, by its address: for what came in by no interface that is a pod's. */
export const SOURCES_CHAIN = 'NWPLCY-SOURCES';
/** Hooks on the destination pod. */
export const INGRESS_CHAIN = 'NWPLCY-INGRESS';
/** Where every refusal ends. */
export const REJECT_CHAIN = 'NWPLCY-REJECT';
/** Where a direction ends for what no rule allows: it is noted down, and then refused or, in audit mode, let pass. */
export const END_CHAINS = {
  denied: { egress: 'NWPLCY-REJECT-EGRESS', ingress: 'NWPLCY-REJECT-INGRESS' },
  audited: { egress: 'NWPLCY-AUDIT-EGRESS', ingress: 'NWPLCY-AUDIT-INGRESS' },
} as const satisfies Record<RecordKind, Record<Direction, string>>;
/** Never jumped to: its rules name every profile, so that a restarted agent finds them without listing anybody else's chains. */
export const PROFILES_CHAIN = 'NWPLCY-PROFILES';

const PREFIX = 'NWPLCY-';
const POD_PREFIX = { ingress: 'NWPLCY-PI-', egress: 'NWPLCY-PE-' } as const satisfies Record<Direction, string>;
const BUCKET_PREFIX = {
  [EGRESS_CHAIN]: 'NWPLCY-BE-',
  [SOURCES_CHAIN]: 'NWPLCY-BS-',
  [INGRESS_CHAIN]: 'NWPLCY-BI-',
} as const;
const SET_PREFIX = { ipv4: 'NWPLCY4-', ipv6: 'NWPLCY6-' } as const satisfies Record<IpFamily, string>;

// iptables takes 28 characters for a chain, ipset 31 for a set. Base32 gives 5 bits a character.
const POD_HASH_LENGTH = 18;
const PROFILE_HASH_LENGTH = 20;
const SET_HASH_LENGTH = 20;

/** Returns the pod's own chain for one direction, the same in both families: one attachment is one container and interface. */
export function podChainName(direction: Direction, attachment: AttachmentId): string {
  return POD_PREFIX[direction] + knownDigest(idOf(attachment)).slice(0, POD_HASH_LENGTH);
}

/** Returns the name of the profile with this content: its chain has it in every table. */
export function profileName(direction: Direction, content: readonly string[]): string {
  return PREFIX + digest(['profile', direction, ...content].join('\n')).slice(0, PROFILE_HASH_LENGTH);
}

/** Returns the name of the set of a peer group in one family. */
export function setName(family: IpFamily, groupKey: string): string {
  return SET_PREFIX[family] + knownDigest(`set\n${family}\n${groupKey}`).slice(0, SET_HASH_LENGTH);
}

/** Returns the name of a chain that holds some of the hooks of another, those with this key in common. */
export function bucketName(chain: keyof typeof BUCKET_PREFIX, key: string): string {
  return BUCKET_PREFIX[chain] + key;
}

/** Tells whether a chain holds some of the hooks of another. */
export function isBucketChain(name: string): boolean {
  return /^NWPLCY-B[EIS]-[A-Za-z0-9._-]{1,5}$/.test(name);
}

/** Tells whether a chain is a pod's own. */
export function isPodChain(name: string): boolean {
  return name.startsWith(POD_PREFIX.ingress) || name.startsWith(POD_PREFIX.egress);
}

/** Tells whether a set has a name that only we give to those of peers. */
export function isOurSet(name: string): boolean {
  return /^NWPLCY[46]-[A-Z2-7]{20}$/.test(name);
}

/** Returns the names of the two sets of a place: of its flows, and of those that were seen more than once, by when that was last. */
export function recordSetNames({ kind, direction, family }: RecordPlace): {
  readonly flows: string;
  readonly last: string;
} {
  const flows = `${SET_PREFIX[family]}${kind.toUpperCase()}-${direction.toUpperCase()}`;
  return { flows, last: `${flows}-LAST` };
}

/** Tells whether a set is one of those that packets fill. */
export function isRecordSet(name: string): boolean {
  return /^NWPLCY[46]-(?:DENIED|AUDITED)-(?:EGRESS|INGRESS)(?:-LAST)?$/.test(name);
}

/** Tells whether a chain has a name that only we give to profiles. */
export function isProfileChain(name: string): boolean {
  return /^NWPLCY-[A-Z2-7]{20}$/.test(name);
}

// Every rule and every pass asks for the same names again, and a digest takes 10 to 20 µs.
const known = new Map<string, string>();
const MOST_KNOWN = 65_536;

function knownDigest(input: string): string {
  const seen = known.get(input);
  if (seen !== undefined) return seen;
  if (known.size === MOST_KNOWN) known.clear();
  const made = digest(input);
  known.set(input, made);
  return made;
}

function digest(input: string): string {
  return base32(sha256(input));
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return text;
}
