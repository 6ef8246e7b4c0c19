import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Namespaces that a process holds open. */
export interface HeldNamespace {
  readonly pid: number;
  /** What to put before a command line so that it runs inside. After it the working directory is `/`. */
  readonly enter: readonly string[];
}

/**
 * Starts `command` in a network namespace of its own, and in a mount namespace of its own if `mounts` is given, and returns once it has
 * printed "ready" or, if it is to print nothing, has been started. It has its own session: a Ctrl-C on the terminal is for the lab to answer.
 */
export async function holdNamespace(
  command: readonly string[],
  { mounts, environment }: { readonly mounts: boolean; readonly environment: Readonly<Record<string, string>> },
): Promise<HeldNamespace> {
  const unshare = mounts ? ['--net', '--mount', '--propagation', 'private'] : ['--net'];
  const holder = spawn('unshare', [...unshare, '--', ...command], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const said: string[] = [];
  holder.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ready = once(createInterface(holder.stdout), 'line');
  const ended = once(holder, 'close').then(([code]) => {
    throw new Error(`Cannot make a namespace: "${command.join(' ')}" ended with ${code}: ${said.join('').trim()}`);
  });
  await Promise.race([ready, ended]);
  ended.catch(() => {}); // the end of the lab
  holder.unref();
  const { pid } = holder;
  if (pid === undefined) throw new Error('Cannot make a namespace: unshare has no process id');
  return { pid, enter: enterProcess(pid, mounts) };
}

function enterProcess(pid: number, mounts: boolean): readonly string[] {
  const net = `--net=/proc/${pid}/ns/net`;
  return mounts ? ['nsenter', `--mount=/proc/${pid}/ns/mnt`, net, '--'] : ['nsenter', net, '--'];
}
