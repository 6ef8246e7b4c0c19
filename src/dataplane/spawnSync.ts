import { Buffer } from 'node:buffer';
import { getSystemErrorName } from 'node:util';

/** How a program ended. `status` is null when it did not start or was killed; output is whole, read as UTF-8. */
export interface SpawnResult {
  readonly status: number | null;
  readonly signal: string | null;
  /** Why it did not start (`ENOENT`, `EACCES`, …) or why it was killed (`ETIMEDOUT`; `ENOBUFS`: it printed over 64 MiB). */
  readonly error?: { readonly code: string };
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program is given: `env` is its whole environment, and after `timeoutMs` milliseconds it is killed. */
export interface SpawnOptions {
  readonly input: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const SIGKILL = 9;

/**
 * Runs a program to its end, without a shell, and returns how it went; `file` is an absolute path. What the program does is never thrown.
 *
 * This is the binding that node:child_process calls: loading child_process (and with it net and dgram) costs an ADD more than starting
 * the program does. Where the binding is not what it was when this was written, child_process is loaded after all.
 *
 * @throws {TypeError} An argument or a variable holds a NUL byte, at which the kernel would cut it off.
 */
export function spawnSync(file: string, args: readonly string[], options: SpawnOptions): SpawnResult {
  const variables = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
  const cut = [file, ...args, ...variables].find((word) => word.includes('\0'));
  if (cut !== undefined) throw new TypeError(`Cannot run "${file}": ${JSON.stringify(cut)} holds a NUL byte`);
  return spawnByBinding(file, args, options) ?? spawnByChildProcess(file, args, options);
}

/** Runs a program by the `spawn_sync` binding; returns `undefined`, with nothing run, where there is no such binding. */
export function spawnByBinding(file: string, args: readonly string[], options: SpawnOptions): SpawnResult | undefined {
  const binding = spawnBinding();
  if (binding === undefined) return undefined;
  const { status, signal, output, error } = binding.spawn({
    file,
    args: [file, ...args],
    envPairs: Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
    timeout: options.timeoutMs,
    maxBuffer: MAX_OUTPUT_BYTES,
    killSignal: SIGKILL,
    stdio: [
      { type: 'pipe', readable: true, writable: false, input: Buffer.from(options.input) },
      { type: 'pipe', readable: false, writable: true },
      { type: 'pipe', readable: false, writable: true },
    ],
  });
  const code = error === undefined || error === 0 ? undefined : getSystemErrorName(error);
  return { status, signal, ...errorUnlessExited(status, code), stdout: text(output?.[1]), stderr: text(output?.[2]) };
}

/** Runs a program by node:child_process, with the same answers. */
export function spawnByChildProcess(file: string, args: readonly string[], options: SpawnOptions): SpawnResult {
  const { status, signal, output, error } = process.getBuiltinModule('node:child_process').spawnSync(file, args, {
    input: options.input,
    env: options.env,
    timeout: options.timeoutMs,
    maxBuffer: MAX_OUTPUT_BYTES,
    killSignal: SIGKILL,
  });
  const code = error === undefined ? undefined : 'code' in error ? String(error.code) : error.message;
  return { status, signal, ...errorUnlessExited(status, code), stdout: text(output?.[1]), stderr: text(output?.[2]) };
}

// Both report EPIPE when the program ended without reading its input: its exit code and stderr say more than that.
function errorUnlessExited(status: number | null, code: string | undefined): Pick<SpawnResult, 'error'> {
  return code === undefined || status !== null ? {} : { error: { code } };
}

function text(bytes: Buffer | null | undefined): string {
  return bytes?.toString('utf8') ?? '';
}

interface SpawnBinding {
  spawn(options: object): {
    readonly status: number | null;
    readonly signal: string | null;
    readonly output: readonly (Buffer | null)[] | null;
    /** A negative errno. */
    readonly error?: number;
  };
}

declare global {
  namespace NodeJS {
    interface Process {
      /** Deprecated by Node in words only, and so not in its types. Throws for a name it does not know. */
      binding?(name: string): Partial<SpawnBinding>;
    }
  }
}

function spawnBinding(): SpawnBinding | undefined {
  try {
    const found = process.binding?.('spawn_sync');
    return hasSpawn(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function hasSpawn(found: Partial<SpawnBinding> | undefined): found is SpawnBinding {
  return typeof found?.spawn === 'function';
}
