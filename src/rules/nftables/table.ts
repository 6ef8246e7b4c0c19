import { TABLE_NAME } from './names.ts';

/** The families of our two tables. */
export type NftFamily = 'inet' | 'bridge';

export const NFT_FAMILIES: readonly NftFamily[] = ['inet', 'bridge'];

/** One rule as `nft list table` prints it. Rules are compared as text, so this form is the only one used. */
export type NftRule = string;

export interface NftChain {
  /** For a base chain `type filter hook forward priority -10; policy accept;`. */
  readonly hook?: string | undefined;
  /** What people read beside it. */
  readonly comment?: string | undefined;
  readonly rules: readonly NftRule[];
}

/** A set, or a map of verdicts. */
export interface NftSet {
  readonly kind: 'set' | 'map';
  /** `type ipv4_addr . inet_service`, with `flags interval` behind it where there are ranges: `type ipv4_addr; flags interval`. */
  readonly type: string;
  readonly comment?: string | undefined;
  /** By key, `10.0.0.5` or `"veth1" . 10.0.0.5`: what stands behind the key, ` comment "shop/web-1" : goto to-…`, or `''`. */
  readonly elements: ReadonlyMap<string, string>;
}

/** What a table holds, by name. */
export interface NftTable {
  /** Whether it has flags such as `dormant`, or objects such as counters: ours never has. */
  readonly isStrange?: boolean;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
}

/** Both tables; `undefined`: there is none. */
export type NftTables = Readonly<Record<NftFamily, NftTable | undefined>>;

/** Commands of `nft -f -`: one transaction. */
export type NftCommands = readonly string[];

/** Returns how a table, or with a name something in it, is addressed in commands: `inet kube-nwplcy NAME`. */
export function at(family: NftFamily, name?: string): string {
  return name === undefined ? `${family} ${TABLE_NAME}` : `${family} ${TABLE_NAME} ${name}`;
}

/** Returns the names of the sets that rules look into. */
export function setsIn(rules: readonly NftRule[]): readonly string[] {
  return rules.flatMap((rule) => [...rule.matchAll(/@(\S+)/g)].flatMap(([, name]) => name ?? []));
}

/** Returns the verdict of a map's element, from what stands behind its key; `''` for an element of a set. */
export function verdictOf(rest: string): string {
  const start = rest.lastIndexOf(' : ');
  return start < 0 ? '' : rest.slice(start + 3);
}

/** Returns the elements of a set that holds these keys and nothing more of each. */
export function bareElements(keys: Iterable<string>): ReadonlyMap<string, string> {
  return new Map([...keys].map((key) => [key, '']));
}

// nft takes no comment of more than 128 bytes, the NUL at its end included.
const COMMENT_BYTES = 127;

/**
 * Returns a comment. What came from a name is kept to the characters that Kubernetes names and selectors are made of, so that neither a quote nor a
 * line end nor an overlong name can become part of a rule.
 */
export function nftComment(text: string): string {
  return `comment "${text.replaceAll(/[^A-Za-z0-9 .,:;=()[\]*!'/_-]/g, '?').slice(0, COMMENT_BYTES)}"`;
}
