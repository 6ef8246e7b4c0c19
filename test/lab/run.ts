import { execa } from 'execa';
import { LAB_VARIABLE } from './leftovers.ts';

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the program is killed; a minute if not given. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is, and returns what it said. Throws only if it could not be started or took too long. */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

/**
 * Returns the whole environment of the processes of a lab: nothing is inherited, so that a test means the same under npm, sudo or CI.
 */
export function labEnvironment(id: string): Readonly<Record<string, string>> {
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', [LAB_VARIABLE]: id };
}

/** Returns a `Run` that puts `prefix` (such as nsenter and its arguments) before what it runs. */
export function runner(prefix: readonly string[], environment: Readonly<Record<string, string>>): Run {
  return async (argv, { input, env, timeoutMs = 60_000 } = {}) => {
    const [file, ...args] = [...prefix, ...argv];
    if (file === undefined) throw new Error('Cannot run a program: no program was given');
    const result = await execa(file, args, {
      env: { ...environment, ...env },
      extendEnv: false,
      input: input ?? '',
      timeout: timeoutMs,
      // A session of its own: a Ctrl-C on the terminal is for the lab to answer, which ends the program by its environment.
      detached: true,
      reject: false,
      stripFinalNewline: false,
    });
    if (result.timedOut || (result.exitCode === undefined && result.signal === undefined))
      throw new Error(result.shortMessage);
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  };
}

/** Runs a program that must succeed and returns its standard output; throws an `Error` with its argv and standard error. */
export async function output(run: Run, argv: readonly string[], options?: RunOptions): Promise<string> {
  const { exitCode, stdout, stderr } = await run(argv, options);
  if (exitCode !== 0)
    throw new Error(`Cannot run "${argv.join(' ')}": it ended with ${exitCode}: ${(stderr || stdout).trim()}`);
  return stdout;
}
