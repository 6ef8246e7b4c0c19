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

/** `open`: no policy selects the pod for this direction. `isolated`: only what `allows` names may pass. */
export type Isolation = { readonly kind: 'open' } | { readonly kind: 'isolated'; readonly allows: readonly Allow[] };

/** One line of the union of all policies' rules: these peers, on these ports. */
export interface Allow {
  readonly peers: PeerMatch;
  readonly ports: PortMatch;
  /** The policy it comes from, `namespace/name`, for the people who read the rules. */
  readonly policy: string;
}

export type PeerMatch =
  | { readonly kind: 'any' }
  | { readonly kind: 'network'; readonly cidr: Cidr }
  | { readonly kind: 'group'; readonly key: string };

/** `inGroup`: the group's members are address and port together (named ports of egress rules), the port needs no match of its own. */
export type PortMatch =
  | { readonly kind: 'any' }
  | { readonly kind: 'inGroup'; readonly protocol: Protocol }
  | { readonly kind: 'range'; readonly protocol: Protocol; readonly from: number; readonly to: number };

/** A group of peers. The key says what is selected and never who that is at the moment, so that it outlives its members. */
export type PeerGroup =
  | { readonly kind: 'addresses'; readonly key: string; readonly members: readonly string[] }
  | {
      readonly kind: 'networks';
      readonly key: string;
      readonly cidrs: readonly Cidr[];
      readonly except: readonly Cidr[];
    }
  | { readonly kind: 'addressPorts'; readonly key: string; readonly members: readonly AddressPort[] };

export interface AddressPort {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
}
