import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { JsonObject } from '../lab/cniRuntime.ts';
import { program } from '../cluster/programs.ts';

/** What a runtime answers to a call that it cannot do. */
export class CriError extends Error {
  override readonly name = 'CriError';
}

/** Calls of the CRI (`runtime/v1/api.proto`) by name, with their messages in the JSON of protocol buffers; any number at once. */
export class CriClient {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;

  constructor(socketPath: string, environment: Readonly<Record<string, string>>) {
    this.#process = spawn(program('cri'), [socketPath], {
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#process.on('close', () => this.#failPending());
    this.#process.stdin.on('error', () => {}); // told by `close`
    createInterface(this.#process.stdout).on('line', (line) => this.#receive(JSON.parse(line) as CriAnswer));
  }

  /** Returns the response to a call such as `RuntimeService.StopPodSandbox`; throws a `CriError` if the runtime says no or is not there. */
  async call<Response>(method: string, request: JsonObject = {}): Promise<Response> {
    const id = ++this.#calls;
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(id, answer);
    this.#process.stdin.write(`${JSON.stringify({ id, method, request })}\n`);
    return (await answer.promise) as Response;
  }

  #receive({ id, error, response }: CriAnswer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) pending?.resolve(response ?? {});
    else pending?.reject(new CriError(error));
  }

  #failPending(): void {
    for (const pending of this.#pending.values()) pending.reject(new Error('Cannot call: the client has ended'));
    this.#pending.clear();
  }
}

interface CriAnswer {
  readonly id: number;
  readonly response?: JsonObject;
  readonly error?: string;
}
