import type { Cidr } from '../net/cidr.ts';
import type { Protocol } from '../net/protocol.ts';

/** What NetworkPolicy means for the pods of one node, before anything is said of a kernel. */
export interface NodePolicy {
  /** The node's own pods by `namespace/name`; hostNetwork pods are never in here. */
  readonly pods: ReadonlyMap<string, PodPolicy>;
  /** Every peer group that an allow of these pods names, by its key, with its members of now. */
  readonly peerGroups: ReadonlyMap<string, PeerGroup>;
}

export interface PodPolicy {
  readonly ingress: Isolation;
  readonly egress: Isolation;
}

/**
 * `open`: no policy selects the pod for this direction. `isolated`: only what `allows` names may pass. `audited`: only policies in audit mode select it;
 * all may pass, and what `allows` does not name is noted down.
 */
export type Isolation =
  | { readonly kind: 'open' }
  | { readonly kind: 'isolated' | 'audited'; readonly allows: readonly Allow[] };

/** One line of the union of all policies' rules: these peers, on any of these ports. */
export interface Allow {
  readonly peers: PeerMatch;
  /** At least one. `any` and `inGroup` stand alone; ranges are sorted and do not touch each other. */
  readonly ports: readonly PortMatch[];
  /** The policies it comes from, `namespace/name`, sorted, for the people who read the rules. */
  readonly policies: readonly string[];
}

export type PeerMatch =
  | { readonly kind: 'any' }
  | { readonly kind: 'network'; readonly cidr: Cidr }
  | { readonly kind: 'group'; readonly key: string };

/** `inGroup`: the group's members are address and port together (named ports of egress rules), the port needs no match of its own. */
export type PortMatch =
  | { readonly kind: 'any' }
  | { readonly kind: 'inGroup'; readonly protocol: Protocol }
  | PortRange;

export interface PortRange {
  readonly kind: 'range';
  readonly protocol: Protocol;
  readonly from: number;
  readonly to: number;
}

/** A group of peers. The key says what is selected and never who that is at the moment, so that it outlives its members. */
export type PeerGroup =
  | ({ readonly kind: 'addresses'; readonly key: string } & Membership<string>)
  | { readonly kind: 'networks'; readonly key: string; readonly blocks: readonly NetworkBlock[] }
  | ({ readonly kind: 'addressPorts'; readonly key: string } & Membership<AddressPort>);

/** Who is in a group. A change of members makes a new object. */
export interface Membership<Member> {
  /** Live: what is handed out tells the present members, each once, also where an older object is asked. */
  readonly members: Members<Member>;
  /** No two states of any group have the same version. */
  readonly version: number;
  /** How the members came to be what they are from those of an earlier version; `undefined` where nobody knows. */
  readonly since: MemberChange<Member> | undefined;
}

export interface Members<Member> extends Iterable<Member> {
  readonly size: number;
}

export interface MemberChange<Member> {
  readonly version: number;
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
}

/** The addresses of one network that are in none of its exceptions. */
export interface NetworkBlock {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

export interface AddressPort {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
}
