import type { PodManifest } from './manifests.ts';
import type { WireEnd } from './wire.ts';

/** Where a lab's pods are announced and its agents look for all objects: a directory of manifests, or an API server. */
export interface PodObjects {
  /** Returns the flags of a node's agent that say so, and what its environment must say besides. */
  agentAccess(nodeName: string): AgentAccess;
  /** Puts a pod in place as the scheduler leaves it, without addresses, and returns its uid. An API server keeps one that is there as it is. */
  createPod(pod: PodManifest): Promise<string>;
  /** Puts the pod's `status` in place, as the kubelet does. */
  publishPod(pod: PodManifest): Promise<void>;
  deletePod(pod: PodManifest): Promise<void>;
}

export interface AgentAccess {
  readonly flags: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** What somebody needs who brings a further place to a lab. */
export interface LabSite {
  /** The nodes; what one has at PATH is `/proc/PID/root/PATH` here. */
  readonly nodes: readonly { readonly name: string; readonly pid: number }[];
  /** The lab's directory, at the same path on every node, for root alone. */
  readonly directory: string;
  /** The environment of every process that is to end with the lab. */
  readonly variables: Readonly<Record<string, string>>;
  /** Joins a network namespace to the wire with these addresses; nodes reach it and it reaches them. */
  join(end: WireEnd, addresses: readonly string[]): Promise<void>;
}
