import type { IpFamily } from '../../src/net/family.ts';
import type { Packet } from './frames.ts';
import type { LinkHost } from './linkHost.ts';

/** Where frames may come in: at a pod beside the one that sends, at their node's bridge, at a pod of another node. */
export const ENDS = ['pod', 'node', 'far'] as const;
export type End = (typeof ENDS)[number];

/** The pod that sends, one whose address it claims, and who may receive that. */
export interface Scene {
  readonly own: LinkHost;
  readonly pod: LinkHost;
  readonly victim: LinkHost;
  readonly node: LinkHost;
  readonly far: Pick<LinkHost, IpFamily>;
}

export interface FrameCase {
  readonly name: string;
  /** The link address that it is sent to, and the packet. */
  readonly make: (scene: Scene, note: string) => readonly [to: string, packet: Packet];
  /** Where it comes in without the product. */
  readonly bare: readonly End[];
  /** Where it comes in with it. */
  readonly locked: readonly End[];
}
