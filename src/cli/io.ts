import type { Environment } from '../dataplane/tools.ts';

/** What a command lives in, and where its answer goes. Exit codes: `0` yes, `1` no or something is wrong, `2` bad usage. */
export interface CommandIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Environment;
  /** The path of the packed executable that runs; `undefined` when the sources run by themselves. */
  readonly executable: string | undefined;
  readonly exitCode: (code: 0 | 1 | 2) => void;
}
