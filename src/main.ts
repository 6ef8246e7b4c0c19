import { readSync, writeSync } from 'node:fs';
import { flushed } from './cli/flushed.ts';
import { loadPacked } from './packed.ts';

// Most of what an agent makes is garbage at once: a small nursery, and a heap that grows late, keep it from becoming memory of the process.
const SMALL_NURSERY = '--max-semi-space-size=2';
const SMALL_HEAP = '--optimize-for-size';

// A container runtime says by CNI_COMMAND that it calls a plugin (CNI spec, section 2); nothing else sets it.
if (process.env['CNI_COMMAND'] === undefined) void main(process.argv.slice(2));
else void answerRuntime();

// Each call of the plugin is a whole process, and a pod waits for it: process.stdout and process.exit are avoided, since the one loads tty, net
// and stream and the other runs a teardown that a program without open files of its own does not need.
async function answerRuntime(): Promise<never> {
  const { runPlugin } = loadPacked('plugin') ?? (await import('./cni/plugin.ts'));
  const { exitCode, stdout } = runPlugin({ env: process.env, stdin: () => readAll(0) });
  writeAll(1, stdout);
  process.reallyExit(exitCode);
}

async function main(args: readonly string[]): Promise<never> {
  if (args[0] === 'agent') restartWithRehashing(args);
  // A reader that has seen enough (`render | head`) is no failure worth a stack trace.
  process.stdout.on('error', () => process.exit(1));
  const { runCommandLine } = loadPacked('commandLine') ?? (await import('./cli/main.ts'));
  const exitCode = await runCommandLine(args, {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    env: process.env,
    // By its path this program may be found replaced, or gone.
    executable: process.getBuiltinModule('node:sea').isSea() ? '/proc/self/exe' : undefined,
  });
  await Promise.all([process.stdout, process.stderr].map(flushed));
  process.exit(exitCode);
}

/**
 * Starts this process again, same pid and same open files, if its strings are hashed with the seed that every copy of the executable has. That
 * saves each call of the plugin some milliseconds, but an agent lives long and keys its maps by names that others choose: it gets a seed that
 * nobody can compute collisions for. The packed code caches were made for the other seed; "rejected" is all that a Warning would say.
 */
function restartWithRehashing(args: readonly string[]): void {
  const { execArgv, execPath } = process;
  if (!execArgv.includes('--no-rehash-snapshot') || execArgv.includes('--rehash-snapshot')) return;
  process.execve?.(
    execPath,
    [execPath, `--node-options=--rehash-snapshot ${SMALL_HEAP} --disable-warning=Warning`, ...args],
    // Here and not above: there an option of V8's would be taken for an argument.
    { ...process.env, NODE_OPTIONS: `${SMALL_NURSERY} ${process.env['NODE_OPTIONS'] ?? ''}` },
  );
}

function readAll(fd: number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const length = whenReady(() => readSync(fd, chunk));
    if (length === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(chunk.subarray(0, length));
  }
}

function writeAll(fd: number, text: string): void {
  let rest: Buffer = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(whenReady(() => writeSync(fd, rest)));
}

// The other end may have made a pipe non-blocking.
function whenReady(transfer: () => number): number {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

declare global {
  namespace NodeJS {
    interface Process {
      /** What process.exit calls last. */
      reallyExit(code: number): never;
    }
  }
}
