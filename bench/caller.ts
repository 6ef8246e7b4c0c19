import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { serve } from './remote.ts';

// Runs programs on a node and times them there, so that no time to enter the node is in the figures. About a millisecond of each is this process's.

/** A program to run; its whole environment is given. */
export interface Call {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
}

export interface CallerApi {
  /** Runs one program and returns how long it took, in milliseconds. Throws what it said if it failed. */
  run(call: Call): number;
  /** Runs programs at once and returns how long it took until the last had ended, in milliseconds. */
  runAll(calls: readonly Call[]): Promise<number>;
}

serve<CallerApi>({
  run({ argv: [file = '', ...args], env, input }) {
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(file, args, { env, input });
    const milliseconds = performance.now() - started;
    if (status !== 0) throw failed(file, { env, said: `${String(stdout)}${String(stderr)}` });
    return milliseconds;
  },

  async runAll(calls) {
    const started = performance.now();
    await Promise.all(calls.map(runBesideOthers));
    return performance.now() - started;
  },
});

async function runBesideOthers({ argv: [file = '', ...args], env, input }: Call): Promise<void> {
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // one that reads nothing
  child.stdin.end(input);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const said = await text(child.stdout);
  if ((await ended) !== 0) throw failed(file, { env, said });
}

function failed(file: string, { env, said }: { readonly env: Call['env']; readonly said: string }): Error {
  return new Error(`Cannot measure ${env['CNI_COMMAND']} of "${file}": it failed: ${said.trim()}`);
}
