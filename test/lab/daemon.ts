import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A program of the lab that runs until it is ended, such as a node's agent. */
export class Daemon {
  readonly #process: ChildProcess;
  readonly #logFile: string;

  /** Starts it; its standard output and error are appended to the log file. */
  constructor(
    argv: readonly string[],
    { environment, logFile }: { readonly environment: Readonly<Record<string, string>>; readonly logFile: string },
  ) {
    const [file = '', ...args] = argv;
    const log = openSync(logFile, 'a');
    this.#process = spawn(file, args, { env: environment, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    this.#process.unref();
    this.#logFile = logFile;
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error('Cannot name the program: it was not started');
    return pid;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Sends SIGTERM, waits for the end and returns the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Sends SIGKILL and waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Sends SIGSTOP: it does nothing more, and its connections stay open. */
  pause(): void {
    this.#process.kill('SIGSTOP');
  }

  /** Lets it go on after `pause`. */
  resume(): void {
    this.#process.kill('SIGCONT');
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const closed = new Promise((resolve) => this.#process.once('close', resolve));
    if (this.isRunning) {
      this.#process.ref();
      this.#process.kill(signal);
      await closed;
    }
    return this.#process.exitCode;
  }
}
