import type { IpFamily } from '../../net/family.ts';
import { readFileIfAny } from '../../files/readIfAny.ts';
import { ENTRY_CHAIN } from '../../rules/names.ts';
import type { IptablesVariant, Table } from './sync.ts';
import { spawnSync } from '../spawnSync.ts';
import { findTool } from '../tools.ts';

/** A filter table, by the world of iptables that it is in. */
export interface ListedTable {
  readonly backend: IptablesVariant;
  readonly family: IpFamily;
  readonly table: Table;
}

/** A chain's name, with the number that it got when it was made, NaN where nobody tells: within a table the kernel counts up. */
export interface ListedChain {
  readonly name: string;
  readonly handle: number;
}

const LIMIT_MS = 30_000;
const NFT_FAMILY = { ipv4: 'ip', ipv6: 'ip6' } as const satisfies Record<IpFamily, string>;
const LEGACY_NAMES = {
  ipv4: '/proc/net/ip_tables_names',
  ipv6: '/proc/net/ip6_tables_names',
} as const satisfies Record<IpFamily, string>;

/**
 * Returns all chains of a filter table, or `undefined` where they cannot be listed. No rule is looked at: `nft` lists chains alone, and
 * iptables-legacy prints them before the first rule, so that a rule that it cannot print comes too late to matter. A legacy table that nobody
 * has used is not touched: that would load it.
 */
export function listChains({ backend, family, table }: ListedTable): readonly ListedChain[] | undefined {
  if (backend === 'iptables-nft') return nftChains(family, table.env);
  const tables = readFileIfAny(LEGACY_NAMES[family]) ?? '';
  if (!tables.split('\n').includes('filter')) return [];
  const { status, stdout } = run(table.file.replace(/-restore$/, ''), { args: ['--wait', '5', '-S'], env: table.env });
  if (status === null) return undefined;
  return [...stdout.matchAll(/^-N (\S+)$/gm)].map(([, name = '']) => ({ name, handle: Number.NaN }));
}

/** Removes the filter table if there is nothing in it. */
export function removeEmptyTable(family: IpFamily, env: Table['env']): void {
  const name = `table ${NFT_FAMILY[family]} filter`;
  const listed = nft(['list', ...name.split(' ')], env);
  if (listed?.status === 0 && listed.stdout.replace(/^#.*\n/gm, '').trim() === `${name} {\n}`)
    nft(['delete', ...name.split(' ')], env);
}

/**
 * Deletes our jumps from another's chain of the filter table by their numbers, and tells how many there were: iptables-nft finds no rule behind
 * one that it cannot read.
 */
export function deleteListedJumps(
  family: IpFamily,
  { chain, env }: { readonly chain: string; readonly env: Table['env'] },
): number {
  const place = [NFT_FAMILY[family], 'filter', chain];
  const listed = nft(['-a', 'list', 'chain', ...place], env)?.stdout ?? '';
  const handles = [...listed.matchAll(JUMP_LINE)].map(([, handle = '']) => handle);
  for (const handle of handles) nft(['delete', 'rule', ...place, 'handle', handle], env);
  return handles.length;
}

const JUMP_LINE = new RegExp(`^\\t\\t.*jump ${ENTRY_CHAIN} # handle (\\d+)$`, 'gm');

function nftChains(family: IpFamily, env: Table['env']): readonly ListedChain[] | undefined {
  const listed = nft(['-a', 'list', 'chains', NFT_FAMILY[family]], env);
  if (listed === undefined || listed.status !== 0) return undefined;
  const tables = listed.stdout.split(/^(?=table )/m);
  const filter = tables.find((text) => text.startsWith(`table ${NFT_FAMILY[family]} filter {`)) ?? '';
  return [...filter.matchAll(/^\tchain (\S+) \{(?: # handle (\d+))?$/gm)].map(([, name = '', handle]) => ({
    name,
    handle: Number(handle),
  }));
}

function nft(args: readonly string[], env: Table['env']) {
  const file = findTool('nft', env);
  return file === undefined ? undefined : run(file, { args, env });
}

function run(file: string, { args, env }: { readonly args: readonly string[]; readonly env: Table['env'] }) {
  return spawnSync(file, args, { input: '', env, timeoutMs: LIMIT_MS });
}
