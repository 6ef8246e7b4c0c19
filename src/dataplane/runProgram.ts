import { spawn, type ChildProcess } from 'node:child_process';

/** How a program ended. */
export interface ProgramEnd {
  readonly failed: boolean;
  /** `undefined`: it was killed, or never ran. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** The system's code when it could not be started. */
  readonly code: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const NEVER_RAN = { failed: true, exitCode: undefined, signal: undefined, stdout: '', stderr: '' } as const;

/**
 * Runs a program to its end, with untranslated messages. What goes wrong is told by what it returns. Every change of the kernel waits for a program,
 * and a library around `spawn` takes longer than most of them.
 */
export async function runProgram(
  file: string,
  { args, input = '' }: { readonly args: readonly string[]; readonly input?: string },
): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const fail = ({ code, message }: NodeJS.ErrnoException) => resolve({ ...NEVER_RAN, code: code ?? message });
    let program: ChildProcess;
    try {
      // oxlint-disable-next-line no-restricted-properties -- nothing is read from it: what this process was given is handed on
      program = spawn(file, args, { env: { ...process.env, LC_ALL: 'C' } });
    } catch (error) {
      fail(error as NodeJS.ErrnoException);
      return;
    }
    program.on('error', fail);
    // Of a process that has no file descriptor left the streams are missing.
    const [stdout, stderr] = [collected(program.stdout), collected(program.stderr)];
    program.on('close', (status, signal) => {
      resolve({
        failed: status !== 0,
        exitCode: status ?? undefined,
        signal: signal ?? undefined,
        code: undefined,
        stdout: stdout.join(''),
        stderr: stderr.join(''),
      });
    });
    // A program that ends before it has read everything tells why by itself.
    program.stdin?.on('error', () => undefined);
    program.stdin?.end(input);
  });
}

function collected(stream: NodeJS.ReadableStream | null | undefined): readonly string[] {
  const chunks: string[] = [];
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => chunks.push(chunk));
  return chunks;
}
