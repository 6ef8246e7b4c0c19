import type { Backend } from '../../src/dataplane/backend.ts';
import type { PodHooks, PodJudgements } from '../../src/rules/pod.ts';
import type { Pod, PluginNode } from '../helpers/pluginNode.ts';

/** A pod with the way in which it is judged. */
export interface HookedPod {
  readonly pod: Pod;
  readonly judgements: PodJudgements;
}

/** What the plugin writes by into the kernel, and what comes of it there. */
export interface PluginWorld {
  readonly backend: Backend;
  /** How many generations an ADD begins. */
  readonly generationsAnAdd: number;
  /** Returns all that is ours in the kernel, but for the values of generations. */
  read(node: PluginNode): Promise<unknown>;
  /** Returns what `read` returns where these pods have come, in this order, and these profiles are that refuse everything. */
  holding(pods: readonly HookedPod[], profiles?: readonly string[]): unknown;
  /** Returns what `read` and `holding` return without the order in which pods came. */
  unordered(table: unknown): unknown;
  /** Makes the chain of a profile that refuses everything. */
  makeProfile(node: PluginNode, profile: string): Promise<void>;
  /** Tells whether the kernel leads packets to a pod's own chains by now. */
  isHooked(node: PluginNode, pod: Pod): Promise<boolean>;
  /** Returns the marks by which the present generation is told, wherever one stands. */
  presentMarks(node: PluginNode): Promise<readonly number[]>;
  /** Returns the same for where generations up to `before` had begun, and one ADD has come since. */
  marksAfter(before: number): readonly number[];
  /** Takes out half of what is a pod's own, and puts in some of it twice where that can be. */
  damage(node: PluginNode, pod: Pod): Promise<void>;
  /** Takes out all that is ours. */
  takeAway(node: PluginNode): Promise<void>;
  /** A shell script that writes rules of somebody else's. */
  readonly othersRules: string;
}

/** Returns what the plugin knows of a pod. */
export function hooksOf({ containerId, name, addresses, link, bridged }: Pod): PodHooks {
  return { containerId, ifName: 'eth0', namespace: 'shop', name, addresses, hostInterface: link, bridged };
}
