import type { LabPod } from '../lab/pod.ts';

/** What somebody else does to our rules. */
export interface Damage {
  readonly name: string;
  /** Returns what does it, for `sh -e` on the node. */
  readonly script: (scene: Scene) => string;
  /** Whether it opens what is forbidden. */
  readonly opens: boolean;
}

/** Where damage is done. */
export interface Scene {
  /** Who is protected. */
  readonly server: LabPod;
  /** What is ours and intact, line by line, of `ownLines`. */
  readonly own: readonly string[];
}
