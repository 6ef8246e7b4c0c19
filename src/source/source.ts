import type { Cluster, ClusterChanges } from '../kube/cluster.ts';

/** Something the source could not use, told to people as it stands. */
export interface SourceProblem {
  /** The file, or the object as `Kind namespace/name`. */
  readonly where: string;
  readonly line: number | undefined;
  /** What is wrong, with the path of the field, e.g. `spec.ingress[0].ports[0].port: Cannot use "x y": …`. */
  readonly message: string;
}

/** What a source holds. `cluster` changes in place, and `takeChanges` tells where. */
export interface SourceState {
  /** True once everything was listed at least once. Before that nothing may be opened or closed because of `cluster`. */
  readonly inSync: boolean;
  readonly cluster: Cluster;
  readonly problems: readonly SourceProblem[];
  /** Why nothing new can be learned, and since when (ISO 8601); `undefined` while all is well. What was listed last stays in force. */
  readonly away: { readonly since: string; readonly reason: string } | undefined;
}

/** Where objects come from. */
export interface Source {
  state(): SourceState;
  /** Returns what has changed in `state().cluster` since the last call; the first time, all that is there. */
  takeChanges(): ClusterChanges;
  /** Begins to list and watch; calls `onChange` after each change of `state()`. Never throws for bad content: that is a problem in the state. */
  start(onChange: () => void): Promise<void>;
  /** Resolves once `state()` holds everything that the source held when this was called. Rejects when the source was stopped before. */
  refresh(): Promise<void>;
  /** Looks at once for a pod that the plugin asks about and `state()` does not show: the watch may be late. Absent where that means nothing. */
  lookFor?(pod: { readonly namespace: string; readonly name: string }): void;
  /**
   * Tells the other nodes which addresses this node's pods have, by the pods' uid, before the API server does. Takes all of them each time and
   * returns at once. Absent where there is nobody to tell.
   */
  shareAddresses?(addresses: ReadonlyMap<string, readonly string[]>): void;
  stop(): Promise<void>;
}
