import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Forward } from './forwarderProgram.ts';

/**
 * A process in another network namespace that hands on TCP connections there: from a unix socket, by which this process gets in, or from another
 * address, as a load balancer that looks at nothing above TCP.
 */
export class Forwarder {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: Interface;

  /** `enter` is what to put before a command line so that it runs in the namespace. */
  constructor(enter: readonly string[], environment: Readonly<Record<string, string>>) {
    const [file = '', ...args] = enter;
    const program = [process.execPath, join(import.meta.dirname, 'forwarderProgram.ts')];
    this.#process = spawn(file, [...args, ...program], {
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#process.stdin.on('error', () => {}); // the end of the lab
    this.#answers = createInterface(this.#process.stdout);
    this.#process.unref();
  }

  /** Hands on from now on what comes in `from` there; of an earlier one of the same place, all connections are cut. One at a time. */
  async forward(forward: Forward): Promise<void> {
    const answer = once(this.#answers, 'line');
    this.#process.stdin.write(`${JSON.stringify(forward)}\n`);
    await answer;
  }
}
