import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NftFamily } from '../../src/rules/nftables/table.ts';
import { nftEvents } from './nftEvents.ts';
import { listedBlocks, listedTable } from './nftNode.ts';
import { NftRuleset } from './nftRuleset.ts';
import { RefusedError } from './restoreTable.ts';

/** How a run ended. */
interface Ending {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** Something that happens once to a run, `list inet`, `list bridge` or `commit`, before it has any effect; an ending takes its place. */
type Interruption = () => Ending | undefined;

/** nft, found by PATH, over a ruleset that lives in this process. Its `monitor` tells of each transaction that changed something. */
export class FakeNft {
  readonly ruleset = new NftRuleset();
  /** Every run so far that was not `monitor`: `list inet`, `list bridge`, `list set`, `commit`. */
  readonly runs: string[] = [];
  /** The text of each transaction that was asked for. */
  readonly commits: string[] = [];
  /** How many monitors have been started. */
  monitorStarts = 0;
  readonly #monitors = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];
  readonly #interruptions = new Map<string, Interruption[]>();
  readonly #directory = mkdtempSync(join(tmpdir(), 'fake-nft-'));
  readonly #path = process.env['PATH'];
  readonly #server: Server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
  #generation = 0;
  #held: string[] | undefined;
  #isStopped = false;

  /** Puts the program first in PATH, until `stop`. */
  static async start(): Promise<FakeNft> {
    const fake = new FakeNft();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    const address = fake.#server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    writeFileSync(join(fake.#directory, 'nft'), clientScript(port, fake.#directory), { mode: 0o700 });
    process.env['PATH'] = `${fake.#directory}:${fake.#path}`;
    return fake;
  }

  stop(): void {
    process.env['PATH'] = this.#path;
    this.#isStopped = true;
    this.endMonitors();
    this.#server.close();
    rmSync(this.#directory, { recursive: true });
  }

  /** Lets something happen right before the next run of a kind. */
  beforeNext(run: string, happen: Interruption): void {
    this.#interruptions.set(run, [...(this.#interruptions.get(run) ?? []), happen]);
  }

  /** Commits somebody else's transaction. Throws as `NftRuleset.commit` does. */
  commit(text: string): void {
    const before = this.ruleset.tables;
    this.ruleset.commit(text);
    const events = nftEvents(before, this.ruleset.tables);
    if (events.length === 0) return;
    this.#generation += 1;
    this.say([...events, `# new generation ${this.#generation} by process 5100 (nft)`]);
  }

  /** Keeps what the monitors have to tell; returns what lets it all go. */
  holdEvents(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      this.say(held);
    };
  }

  /** Makes all monitors print lines. */
  say(lines: readonly string[]): void {
    if (this.#held !== undefined) return void this.#held.push(...lines);
    for (const monitor of this.#monitors) monitor.write(lines.map((line) => `${line}\n`).join(''));
  }

  /** Resolves once so many monitors have been started. */
  async monitored(starts: number): Promise<void> {
    while (this.monitorStarts < starts) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the monitors that run, as if each had been killed. */
  endMonitors(): void {
    for (const monitor of this.#monitors) monitor.end();
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    const chunks: Buffer[] = [];
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      if (!text.endsWith('\0\0')) continue;
      const [args = '', input = ''] = text.slice(0, -2).split('\0');
      if (this.#isStopped) socket.destroy();
      else if (args === 'monitor') this.#addMonitor(socket);
      else this.#answer(socket, { args, input });
      return;
    }
  }

  #addMonitor(socket: Socket): void {
    this.#monitors.add(socket);
    socket.on('close', () => this.#monitors.delete(socket));
    this.monitorStarts += 1;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #answer(socket: Socket, { args, input }: { readonly args: string; readonly input: string }): void {
    const [, family, set] =
      /^--stateless --numeric-priority list (?:table (inet|bridge) kube-nwplcy|set inet kube-nwplcy (\S+))$/.exec(
        args,
      ) ?? [];
    const isKnown = family !== undefined || set !== undefined;
    const run = args === '--file -' ? 'commit' : `list ${family ?? (isKnown ? 'set' : `?${args}`)}`;
    this.runs.push(run);
    if (run === 'commit') this.commits.push(input);
    const ending = this.#interruptions.get(run)?.shift()?.();
    const perform = () => (isKnown ? this.#list(family as NftFamily | undefined, set) : this.#commit(input));
    const { exitCode, stdout = '', stderr = '' } = ending ?? perform();
    const number = this.runs.length;
    writeFileSync(join(this.#directory, `${number}.out`), stdout);
    writeFileSync(join(this.#directory, `${number}.err`), stderr);
    socket.end(`${number} ${exitCode}\n`);
  }

  #list(family: NftFamily | undefined, set = ''): Ending {
    const block = listedBlocks(this.ruleset).get(`inet ${set}`);
    const listed = block === undefined ? undefined : `table inet kube-nwplcy {\n${block}\n}\n`;
    const stdout = family === undefined ? listed : listedTable(this.ruleset, family);
    return stdout === undefined
      ? { exitCode: 1, stderr: 'Error: No such file or directory\n' }
      : { exitCode: 0, stdout };
  }

  #commit(input: string): Ending {
    try {
      this.commit(input);
      return { exitCode: 0 };
    } catch (error) {
      if (error instanceof RefusedError) return { exitCode: 1, stderr: `${error.message}\n` };
      throw error;
    }
  }
}

/** bash talks to this process: to start Node for each run would take a hundred times as long. */
function clientScript(port: number, directory: string): string {
  return `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/${port}
{ printf '%s\\0' "$*"; [ "$1" = monitor ] || cat; printf '\\0\\0'; } >&3
[ "$1" != monitor ] || exec cat <&3
read -r number code <&3
cat '${directory}'/"$number.out"
cat '${directory}'/"$number.err" >&2
exit "$code"
`;
}
