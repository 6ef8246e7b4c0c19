import type { IpFamily } from '../../net/family.ts';
import { parseChains } from '../../rules/iptables/kernelChains.ts';
import { restoreText, type RestoreLines } from '../../rules/iptables/podRestore.ts';
import { targetOf, type Rule } from '../../rules/iptables/chain.ts';
import { isBucketChain } from '../../rules/names.ts';
import type { Backend } from '../backend.ts';
import { CommandError } from '../commandError.ts';
import { isBusy, isMissingChain } from './errors.ts';
import { monotonicMs, pause } from '../pause.ts';
import { spawnSync, type SpawnResult } from '../spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from '../tools.ts';

/** The two worlds of iptables: their tables are looked at by the kernel one after the other, and neither shows the other's. */
export type IptablesVariant = Exclude<Backend, 'nftables'>;

export const IPTABLES_VARIANTS: readonly IptablesVariant[] = ['iptables-nft', 'iptables-legacy'];

/** One family's filter table, by way of one iptables-restore. */
export interface Table {
  readonly family: IpFamily;
  /** The absolute path of iptables-restore. */
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}

const COMMANDS = { ipv4: 'iptables', ipv6: 'ip6tables' } as const satisfies Record<IpFamily, string>;
const VARIANTS = { 'iptables-nft': 'nft', 'iptables-legacy': 'legacy' } as const satisfies Record<
  IptablesVariant,
  string
>;

// The legacy lock is waited for by the program, an outdated view of nft by us; whatever happens, the runtime gets its answer.
const ARGUMENTS = ['--noflush', '--wait', '5'];
const COMMAND_LIMIT_MS = 30_000;
const BUSY_LIMIT_MS = 10_000;
const BUSY_PAUSE_MS = 5;

/** Returns the name of the program that writes into one family's tables. */
export function restoreCommand(family: IpFamily, backend: IptablesVariant): string {
  return `${COMMANDS[family]}-${VARIANTS[backend]}-restore`;
}

/** Returns one family's table, or `undefined` where its program is not installed. */
export function findTable(
  family: IpFamily,
  { backend, env }: { readonly backend: IptablesVariant; readonly env: Environment },
): Table | undefined {
  const file = findTool(restoreCommand(family, backend), env);
  return file === undefined ? undefined : { family, file, env: toolEnvironment(env) };
}

/**
 * Commits one transaction, all of it or nothing, and returns what its `-S` lines printed. Tries again while another writer is in the way.
 * Throws a CommandError.
 */
export function restore(table: Table, lines: RestoreLines): string {
  const result = run(table, lines);
  if (result.status !== 0) throw commandError(table, { lines, result });
  return result.stdout;
}

/** Returns those of the chains named that exist, with their rules. Throws a CommandError. */
export function readChains(table: Table, names: readonly string[]): ReadonlyMap<string, readonly Rule[]> {
  const chains = new Map<string, readonly Rule[]>();
  for (let left = names; left.length > 0;) {
    const found = readLeadingChains(table, left);
    for (const [name, rules] of found) chains.set(name, rules);
    left = left.slice(found.size + 1);
  }
  return chains;
}

/** Returns those of the chains named that exist, and the buckets that they lead to, with their rules. Throws a CommandError. */
export function readWithBuckets(table: Table, names: readonly string[]): ReadonlyMap<string, readonly Rule[]> {
  const found = readChains(table, names);
  const buckets = new Set([...found.values()].flat().map(targetOf).filter(isBucketChain));
  return buckets.size === 0 ? found : new Map([...found, ...readChains(table, [...buckets])]);
}

/**
 * Returns the chains named, with their rules, up to the first that does not exist: one process prints any number of chains, but stops there.
 * Throws a CommandError.
 */
export function readLeadingChains(table: Table, names: readonly string[]): ReadonlyMap<string, readonly Rule[]> {
  const lines = names.map((name) => `-S ${name}`);
  const result = run(table, lines);
  if (result.status !== 0 && !isMissingChain(failureOf(result))) throw commandError(table, { lines, result });
  return parseChains(result.stdout);
}

function run({ file, env }: Table, lines: RestoreLines): SpawnResult {
  const until = monotonicMs() + BUSY_LIMIT_MS;
  for (;;) {
    const result = spawnSync(file, ARGUMENTS, { input: restoreText(lines), env, timeoutMs: COMMAND_LIMIT_MS });
    if (result.status === 0 || !isBusy(failureOf(result)) || monotonicMs() > until) return result;
    pause(BUSY_PAUSE_MS);
  }
}

function failureOf({ status, stderr }: SpawnResult) {
  return { exitCode: status ?? undefined, stderr };
}

interface FailedRun {
  readonly lines: RestoreLines;
  readonly result: SpawnResult;
}

/** iptables tells the number of the line that it stumbled over, the legacy variant nothing else; the line is told with it. */
function commandError({ file }: Table, { lines, result }: FailedRun): CommandError {
  const { signal, error, stderr } = result;
  const number = Number(/line (\d+)(?:: \w+)? failed/.exec(stderr)?.[1]);
  // The first line is the table's name.
  const line = lines[number - 2];
  const told = line === undefined ? stderr : `${stderr.trimEnd()}\nLine ${number} is: ${line}\n`;
  return new CommandError({
    file,
    args: ARGUMENTS,
    result: { ...failureOf(result), stderr: told, signal: signal ?? undefined, code: error?.code },
  });
}
