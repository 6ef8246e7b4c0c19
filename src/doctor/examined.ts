import type { Finding } from './finding.ts';
import type { AllChains } from '../dataplane/allChains.ts';
import type { Backend } from '../dataplane/backend.ts';
import type { Environment } from '../dataplane/tools.ts';
import type { Network } from '../install/network.ts';

/** Where to look. */
export interface Places {
  readonly env: Environment;
  readonly binDir: string;
  readonly confDir: string;
  readonly runtimeDir: string;
  /** What this program is, as `--version` prints it. */
  readonly version: string;
  /** Where `/proc`, `/sys` and `/lib` are; the machine's if empty. */
  readonly root: string;
}

/** A node as it was found, and where to look for more. */
export interface ExaminedNode extends Places {
  readonly isRoot: boolean;
  /** The network that the runtime gives to pods, or why there is none that can be used. */
  readonly network: Network | Error;
  /** How rules get into the kernel here: as the agent has chosen, or would. `undefined` where nothing could. */
  readonly backend: Backend | undefined;
  readonly chains: AllChains;
}

/** Looks at one thing. */
export type Check = (node: ExaminedNode) => readonly Finding[] | Promise<readonly Finding[]>;
