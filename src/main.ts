import { readSync, writeSync } from 'node:fs';
import type * as CommandLine from './cli/main.ts';
import { flushed } from './cli/flushed.ts';
import { runPlugin } from './cni/plugin.ts';

// A container runtime says by CNI_COMMAND that it calls a plugin (CNI spec, section 2); nothing else sets it.
if (process.env['CNI_COMMAND'] === undefined) void main(process.argv.slice(2));
else answerRuntime();

// Each call of the plugin is a whole process, and a pod waits for it: process.stdout and process.exit are avoided, since the one loads tty, net
// and stream and the other runs a teardown that a program without open files of its own does not need.
function answerRuntime(): never {
  const { exitCode, stdout } = runPlugin({ env: process.env, stdin: () => readAll(0) });
  writeAll(1, stdout);
  process.reallyExit(exitCode);
}

async function main(args: readonly string[]): Promise<never> {
  if (args[0] === 'agent') restartWithRehashing(args);
  // A reader that has seen enough (`render | head`) is no failure worth a stack trace.
  process.stdout.on('error', () => process.exit(1));
  const { runCommandLine } = await loadCommandLine();
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
 * nobody can compute collisions for. The packed main's code cache was made for the other seed; "rejected" is all that a Warning would say.
 */
function restartWithRehashing(args: readonly string[]): void {
  const { execArgv, execPath } = process;
  if (!execArgv.includes('--no-rehash-snapshot') || execArgv.includes('--rehash-snapshot')) return;
  process.execve?.(
    execPath,
    [execPath, '--node-options=--rehash-snapshot --disable-warning=Warning', ...args],
    process.env,
  );
}

/** Returns the command line and the agent: a bundle of their own in the packed executable, compiled only when wanted. */
async function loadCommandLine(): Promise<typeof CommandLine> {
  const sea = process.getBuiltinModule('node:sea');
  if (!sea.isSea()) return await import('./cli/main.ts');
  const { Script } = process.getBuiltinModule('node:vm');
  const script = new Script(Buffer.from(sea.getRawAsset('commandLine')).toString('latin1'), {
    filename: 'commandLine.cjs',
    // Taken under the flags that it was made with, and so by every command but the agent.
    cachedData: Buffer.from(sea.getRawAsset('commandLineCodeCache')),
  });
  const module: { exports?: typeof CommandLine } = {};
  const run: unknown = script.runInThisContext();
  if (typeof run === 'function')
    Reflect.apply(run, undefined, [module, (name: string) => process.getBuiltinModule(name)]);
  if (module.exports === undefined) throw new Error('Cannot load the command line: its bundle exports nothing');
  return module.exports;
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
