import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IpFamily } from '../../src/net/family.ts';
import { RefusedError, RestoreTable } from './restoreTable.ts';
import { SetTable } from './setTable.ts';

/** One run of a program. */
export interface Run {
  readonly program: string;
  readonly args: readonly string[];
  readonly input: string;
}

/** How a run ended. */
export interface Ending {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** `undefined`: has nothing to say to this run. A promise of `undefined`: the run goes on once it is resolved. */
type Answer = (run: Run) => Ending | Promise<undefined> | undefined;

const PROGRAMS = [
  'iptables-nft',
  'iptables-nft-restore',
  'ip6tables-nft',
  'ip6tables-nft-restore',
  'ipset',
  'conntrack',
  'nft',
];

/**
 * iptables-nft, nft, ipset and conntrack, found by PATH, over tables that live in this process: they refuse what the real ones refuse, in their words. A
 * run can be made to fail.
 */
export class FakeNetfilter {
  readonly tables: Readonly<Record<IpFamily, RestoreTable>>;
  readonly sets: SetTable;
  /** What `conntrack -L` prints. */
  readonly flows: Record<IpFamily, string> = { ipv4: '', ipv6: '' };
  /** Every run so far. */
  readonly runs: Run[] = [];
  /** First in PATH: what a test puts here is found before the machine's. */
  readonly directory = mkdtempSync(join(tmpdir(), 'fake-netfilter-'));
  readonly #path = process.env['PATH'];
  readonly #server: Server;
  readonly #answers: Answer[] = [];

  private constructor() {
    const hasSet = (name: string) => this.sets.has(name);
    this.tables = { ipv4: new RestoreTable({ hasSet }), ipv6: new RestoreTable({ hasSet }) };
    this.sets = new SetTable({
      isInUse: (name) => [this.tables.ipv4, this.tables.ipv6].some((table) => table.setsInUse().has(name)),
    });
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
  }

  /** Puts the programs first in PATH, until `stop`. */
  static async start(): Promise<FakeNetfilter> {
    const fake = new FakeNetfilter();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    const address = fake.#server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    writeFileSync(join(fake.directory, 'fake'), clientScript(port ?? 0, fake.directory), { mode: 0o700 });
    for (const program of PROGRAMS) symlinkSync('fake', join(fake.directory, program));
    process.env['PATH'] = `${fake.directory}:${fake.#path}`;
    return fake;
  }

  stop(): void {
    process.env['PATH'] = this.#path;
    this.#server.close();
    rmSync(this.directory, { recursive: true });
  }

  /** Makes the next run that `answer` has an answer for end that way; nothing is changed by it. */
  failNext(answer: (run: Run) => Ending | undefined): void {
    this.#answers.push(answer);
  }

  /** Keeps the next run that `isMeant` waiting; returns how to let it go. */
  hold(isMeant: (run: Run) => boolean): () => void {
    let release = (): void => {};
    const released = new Promise<undefined>((resolve) => (release = () => resolve(undefined)));
    this.#answers.push((run) => (isMeant(run) ? released : undefined));
    return release;
  }

  /** Returns the input of every transaction so far that changed something in the tables of a family. */
  transactions(family: IpFamily): readonly string[] {
    const program = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-nft-restore`;
    return this.runs.filter((run) => run.program === program && !/^-[SC] /m.test(run.input)).map(({ input }) => input);
  }

  async #serve(socket: Socket): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of socket) {
      chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      // NUL ends each word, the input and the message: no word can hold one, and no input of ours does.
      if (!text.endsWith('\0\0')) continue;
      const [program = '', count = '', ...words] = text.slice(0, -2).split('\0');
      const run = { program, args: words.slice(0, Number(count)), input: words.slice(Number(count)).join('\0') };
      this.runs.push(run);
      const number = this.runs.length;
      const { exitCode, stdout = '', stderr = '' } = await this.#end(run);
      writeFileSync(join(this.directory, `${number}.out`), stdout);
      writeFileSync(join(this.directory, `${number}.err`), stderr);
      socket.end(`${number} ${exitCode}\n`);
      return;
    }
  }

  async #end(run: Run): Promise<Ending> {
    for (const [index, answer] of this.#answers.entries()) {
      const ending = answer(run);
      if (ending === undefined) continue;
      this.#answers.splice(index, 1);
      return (await ending) ?? this.#perform(run);
    }
    return this.#perform(run);
  }

  #perform(run: Run): Ending {
    const family = run.program.startsWith('ip6') ? 'ipv6' : 'ipv4';
    if (run.program === 'ipset') return ipset(this.sets, run);
    if (run.program === 'nft') return nftList(this.tables[run.args.includes('ip6') ? 'ipv6' : 'ipv4'], run);
    if (run.program === 'conntrack')
      return run.args[0] === '-L'
        ? { exitCode: 0, stdout: this.flows[run.args[2] === 'ipv6' ? 'ipv6' : 'ipv4'] }
        : NO_FLOWS;
    return run.program.endsWith('-restore') ? restore(this.tables[family], run) : list(this.tables[family], run);
  }
}

const NO_FLOWS = { exitCode: 1, stderr: 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n' };

/** bash talks to this process: to start Node for each run would take a hundred times as long. */
function clientScript(port: number, directory: string): string {
  return `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/${port}
{ printf '%s\\0' "\${0##*/}" "$#" "$@"; [ "\${0##*/}" = conntrack ] || cat; printf '\\0\\0'; } >&3
read -r number code <&3
cat '${directory}'/"$number.out"
cat '${directory}'/"$number.err" >&2
exit "$code"
`;
}

function ipset(sets: SetTable, { args, input }: Run): Ending {
  switch (args.join(' ')) {
    case 'save':
      return { exitCode: 0, stdout: sets.save() };
    case 'list -terse':
      return { exitCode: 0, stdout: sets.list() };
    case 'restore -exist':
      return refusing('ipset v7.17: ', () => sets.restore(input.split('\n').filter((line) => line !== '')));
    default:
      return { exitCode: 2, stderr: `ipset v7.17: Unknown argument: ${args.join(' ')}\n` };
  }
}

function restore(table: RestoreTable, { program, args, input }: Run): Ending {
  const lines = input.split('\n');
  if (args[0] !== '--noflush' || lines[0] !== '*filter' || lines.at(-2) !== 'COMMIT' || lines.at(-1) !== '')
    return { exitCode: 2, stderr: `${program}: not what this fake knows\n` };
  const printed: string[] = [];
  const changes: string[] = [];
  for (const [index, line] of lines.slice(1, -2).entries()) {
    const failed = { exitCode: 1, stdout: printed.join(''), stderr: `${program}: line ${index + 2} failed: ` };
    const [, verb, name = '', rule = ''] = /^-([SC]) (\S+)(?: (.+))?$/.exec(line) ?? [];
    const rules = table.chains.get(name);
    if (verb === undefined) changes.push(line);
    else if (rules === undefined) return { ...failed, stderr: `${failed.stderr}No chain/target/match by that name.\n` };
    else if (verb === 'S') printed.push(printedChain(name, rules));
    else if (!rules.includes(rule))
      return { ...failed, stderr: `${failed.stderr}Bad rule (does a matching rule exist in that chain?).\n` };
  }
  const { exitCode, stderr } = refusing(`${program}: line 1 failed: `, () => table.commit(changes));
  return { exitCode, stdout: printed.join(''), stderr: stderr ?? '' };
}

function list(table: RestoreTable, { program, args }: Run): Ending {
  const name = args.at(-1) ?? '';
  const rules = table.chains.get(name);
  if (args.at(-2) !== '-S') return { exitCode: 2, stderr: `${program}: not what this fake knows\n` };
  if (rules !== undefined) return { exitCode: 0, stdout: printedChain(name, rules) };
  return { exitCode: 1, stderr: `${program}: chain \`${name}' in table \`filter' is incompatible, use 'nft' tool.\n` };
}

function nftList(table: RestoreTable, { args }: Run): Ending {
  const name = args.at(-1) ?? '';
  const rules = table.chains.get(name);
  if (args.at(-4) !== 'chain' || rules === undefined)
    return { exitCode: 1, stderr: 'Error: No such file or directory\n' };
  const words = rules.map((rule) => {
    const [, match, target] = /^(-m addrtype ! --src-type LOCAL )?-j (\S*-CHAIN)$/.exec(rule) ?? [];
    if (target === undefined) return 'ct state established counter accept';
    return `${match === undefined ? '' : 'fib saddr type != local '}counter jump ${target}`;
  });
  const lines = [`type filter hook ${name.toLowerCase()} priority filter; policy accept;`, ...words];
  return { exitCode: 0, stdout: `table ip filter {\n\tchain ${name} {\n\t\t${lines.join('\n\t\t')}\n\t}\n}\n` };
}

function printedChain(name: string, rules: readonly string[]): string {
  const isBuiltIn = ['INPUT', 'FORWARD', 'OUTPUT'].includes(name);
  const head = isBuiltIn ? `-P ${name} ACCEPT` : `-N ${name}`;
  return [head, ...rules.map((rule) => `-A ${name} ${rule}`)].map((line) => `${line}\n`).join('');
}

function refusing(prefix: string, change: () => void): Ending {
  try {
    change();
    return { exitCode: 0 };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { exitCode: 1, stderr: `${prefix}${error.message}\n` };
  }
}
