import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

// A program that runs in a node's namespaces, asked by JSON lines on its standard input and answering on its standard output.

/** What such a program does, by the name of the operation. */
export type Operations<Api> = { readonly [Name in keyof Api]: (request: never) => unknown };

type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

/** Answers requests until standard input ends. */
export function serve<Api extends Operations<Api>>(operations: Api): void {
  const answer = async (line: string) => {
    const { id, name, request } = JSON.parse(line) as { id: number; name: keyof Api; request: never };
    try {
      return { id, result: (await operations[name](request)) ?? null };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  const lines = createInterface(process.stdin);
  lines.on('line', (line) => void answer(line).then((text) => process.stdout.write(`${JSON.stringify(text)}\n`)));
  lines.on('close', () => process.exit(0));
}

/** The program as its caller sees it. */
export class Remote<Api extends Operations<Api>> {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #requests = 0;

  constructor(argv: readonly string[], environment: Readonly<Record<string, string>>) {
    const [file = '', ...args] = argv;
    this.#process = spawn(file, args, { env: environment, stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#process.stdin.on('error', () => {}); // told by `close`
    this.#process.on('close', () => {
      for (const { reject } of this.#pending.values())
        reject(new Error(`Cannot ask "${argv.join(' ')}": it has ended`));
    });
    createInterface(this.#process.stdout).on('line', (line) => this.#receive(JSON.parse(line) as Answer));
  }

  async call<Name extends keyof Api>(
    name: Name,
    request: Parameters<Api[Name]>[0],
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    const id = ++this.#requests;
    const response = Promise.withResolvers<unknown>();
    this.#pending.set(id, response);
    this.#process.stdin.write(`${JSON.stringify({ id, name, request })}\n`);
    return (await response.promise) as Awaited<ReturnType<Api[Name]>>;
  }

  /** Ends the program. */
  end(): void {
    this.#process.stdin.end();
  }

  #receive(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ('error' in answer) pending?.reject(new Error(answer.error));
    else pending?.resolve(answer.result);
  }
}
