import { writeFileSync } from 'node:fs';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { monotonicMs } from './probe/clock.ts';
import type {
  Arrival,
  Attempt,
  DialResult,
  HammerRequest,
  ProbeApi,
  ProbeRequest,
  ProbeResponse,
  StreamRequest,
  StreamState,
  Target,
} from './probe/protocol.ts';

export { monotonicMs } from './probe/clock.ts';
export type { Arrival, Attempt, DialResult, StreamState, Target } from './probe/protocol.ts';

/** Bundles the probe's program into one file without types, which starts in half the time, and returns its path. */
export async function buildProbe(directory: string): Promise<string> {
  const outfile = join(directory, 'probe.mjs');
  const entry = join(import.meta.dirname, 'probe/main.ts');
  const options = { bundle: true, platform: 'node', format: 'esm', logLevel: 'error' } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [entry], write: false });
  // Not by esbuild, which is a process of its own: it would write into a lab that a Ctrl-C has just removed.
  writeFileSync(outfile, outputFiles[0]?.contents ?? '');
  return outfile;
}

/** A process in a network namespace that listens, connects and keeps times. What its methods take and mean is in probe/protocol.ts. */
export class Probe {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #requests = 0;

  /** `argv` is the whole command line, ending in the program and the name under which it answers. */
  constructor(argv: readonly string[], environment: Readonly<Record<string, string>>) {
    const [file = '', ...args] = argv;
    this.#process = spawn(file, args, { env: environment, stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#process.on('close', () => this.#failPending());
    this.#process.stdin.on('error', () => {}); // told by `close`
    createInterface(this.#process.stdout).on('line', (line) => this.#receive(JSON.parse(line) as ProbeResponse));
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('Cannot name the probe: it was not started');
    return pid;
  }

  async listen(ports: readonly number[], { addresses }: { readonly addresses: readonly string[] }): Promise<void> {
    await this.#call('listen', { ports, addresses });
  }

  /** Tries each target once. Three seconds are enough on a loaded machine; what is refused answers at once. */
  async dial(
    targets: readonly Target[],
    { timeoutMs = 3000, concurrency = 64 }: { readonly timeoutMs?: number; readonly concurrency?: number } = {},
  ): Promise<readonly DialResult[]> {
    return this.#call('dial', { targets, timeoutMs, concurrency });
  }

  /** Tries one target every `intervalMs` until stopped. */
  async hammer(
    target: Target,
    { intervalMs = 1, timeoutMs = 1000, ...options }: Partial<Omit<HammerRequest, keyof Target>> = {},
  ): Promise<RunningHammer> {
    const handle = await this.#call('startHammer', { ...target, intervalMs, timeoutMs, ...options });
    return { stop: () => this.#call('stopHammer', handle) };
  }

  /** Opens a long-lived flow; throws if it cannot be established. */
  async openStream(
    target: Target,
    { kind = 'echo', intervalMs = 5 }: Partial<Omit<StreamRequest, keyof Target>> = {},
  ): Promise<OpenStream> {
    const handle = await this.#call('openStream', { ...target, kind, intervalMs });
    return new OpenStream(() => this.#call('streamState', handle));
  }

  async arrivals(): Promise<readonly Arrival[]> {
    return this.#call('arrivals', null);
  }

  async forgetArrivals(): Promise<void> {
    await this.#call('forgetArrivals', null);
  }

  /** Lets the process go on after this one has ended, and this one end although it goes on. */
  async keep(): Promise<void> {
    await this.#call('keep', null);
    this.#process.stdin.destroy();
    this.#process.stdout.destroy();
    this.#process.unref();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#process.once('close', resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await closed;
    }
  }

  async #call<Operation extends keyof ProbeApi>(
    operation: Operation,
    request: Parameters<ProbeApi[Operation]>[0],
  ): Promise<Awaited<ReturnType<ProbeApi[Operation]>>> {
    const id = ++this.#requests;
    const response = Promise.withResolvers<unknown>();
    this.#pending.set(id, response);
    const message: ProbeRequest = { id, operation, request };
    this.#process.stdin.write(`${JSON.stringify(message)}\n`);
    return (await response.promise) as Awaited<ReturnType<ProbeApi[Operation]>>;
  }

  #receive(response: ProbeResponse): void {
    const pending = this.#pending.get(response.id);
    this.#pending.delete(response.id);
    if ('error' in response) pending?.reject(new Error(`Cannot probe: ${response.error}`));
    else pending?.resolve(response.result);
  }

  #failPending(): void {
    for (const pending of this.#pending.values()) pending.reject(new Error('Cannot probe: the process has ended'));
    this.#pending.clear();
  }
}

export interface RunningHammer {
  /** Ends it and returns every attempt in the order in which they were started. */
  stop(): Promise<readonly Attempt[]>;
}

/** A long-lived flow seen from its client. */
export class OpenStream {
  readonly state: () => Promise<StreamState>;

  constructor(state: () => Promise<StreamState>) {
    this.state = state;
  }

  /**
   * Waits until the stream has ended, or nothing has been received for `stallMs`, and returns how and when (of a stall: when something
   * came last). Returns `undefined` if it is still alive after `timeoutMs`.
   */
  async waitForEnd({
    stallMs = 1000,
    timeoutMs = 10_000,
  }: { readonly stallMs?: number; readonly timeoutMs?: number } = {}) {
    for (const deadline = monotonicMs() + timeoutMs; monotonicMs() < deadline; await sleep(5)) {
      const { ended, lastReceivedAt } = await this.state();
      if (ended !== undefined) return ended;
      if (monotonicMs() - lastReceivedAt > stallMs) return { how: 'stalled', at: lastReceivedAt };
    }
    return undefined;
  }
}
