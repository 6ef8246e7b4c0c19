import type { IpFamily } from '../net/family.ts';
import { legacyTables } from './legacyTables.ts';
import { toolOutput } from './toolOutput.ts';
import type { Environment } from './tools.ts';

/** A chain of whomever's, without its rules. */
export interface AnyChain {
  /** `ip filter` or `inet firewalld`, or `legacy ip filter` in the world of iptables-legacy. */
  readonly table: string;
  readonly name: string;
  /** Of a base chain. */
  readonly hook: string | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
}

/** All chains that could be listed, and what kept others from it. */
export interface AllChains {
  readonly chains: readonly AnyChain[];
  readonly unseen: readonly string[];
}

/** Returns the names of all chains of this network namespace. No rule is looked at, and no legacy table that is not in use: that would load it. */
export function listAllChains(env: Environment): AllChains {
  const parts = [nftChains(env), ...(['ipv4', 'ipv6'] as const).map((family) => legacyChains(family, env))];
  return { chains: parts.flatMap(({ chains }) => chains), unseen: parts.flatMap(({ unseen }) => unseen) };
}

/** Returns the names of the tables of nftables, those of iptables-nft among them, `inet kube-nwplcy`. */
export function tablesOf({ chains }: AllChains): ReadonlySet<string> {
  return new Set(chains.map(({ table }) => table));
}

function nftChains(env: Environment): AllChains {
  const listing = toolOutput('nft', ['list', 'chains'], env);
  if (listing.kind === 'printed') return { chains: parseNftChains(listing.text), unseen: [] };
  if (listing.kind === 'failed') return { chains: [], unseen: [`nft: ${listing.why}`] };
  // Without nft there may still be what iptables-nft has made; it shows that one table, a chain with its rules, which are passed over.
  const parts = (['ipv4', 'ipv6'] as const).map((family) =>
    iptablesChains(family, { program: family === 'ipv4' ? 'iptables-nft' : 'ip6tables-nft', prefix: '', env }),
  );
  return { chains: parts.flatMap(({ chains }) => chains), unseen: parts.flatMap(({ unseen }) => unseen) };
}

function parseNftChains(text: string): readonly AnyChain[] {
  const chains: AnyChain[] = [];
  let table = '';
  for (const line of text.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    const name = /^\tchain (\S+) \{/.exec(line)?.[1];
    if (name !== undefined) chains.push({ table, name, hook: undefined, policy: undefined });
    const [, hook, policy] = /^\t\ttype \S+ hook (\S+) [^;]*;(?: policy (accept|drop);)?/.exec(line) ?? [];
    const last = chains.at(-1);
    if (hook !== undefined && last !== undefined)
      chains[chains.length - 1] = { ...last, hook, policy: policy as AnyChain['policy'] };
  }
  return chains;
}

function legacyChains(family: IpFamily, env: Environment): AllChains {
  const tables = legacyTables(family);
  if (tables === undefined) return { chains: [], unseen: [`iptables-legacy: only root may see its tables`] };
  if (!tables.includes('filter')) return { chains: [], unseen: [] };
  const program = family === 'ipv4' ? 'iptables-legacy' : 'ip6tables-legacy';
  return iptablesChains(family, { program, prefix: 'legacy ', env });
}

function iptablesChains(
  family: IpFamily,
  { program, prefix, env }: { readonly program: string; readonly prefix: string; readonly env: Environment },
): AllChains {
  const listing = toolOutput(program, ['-w', '5', '-S'], env);
  if (listing.kind === 'absent') return { chains: [], unseen: [] };
  if (listing.kind === 'failed') return { chains: [], unseen: [`${program}: ${listing.why}`] };
  const table = `${prefix}${family === 'ipv4' ? 'ip' : 'ip6'} filter`;
  const chains = [...listing.text.matchAll(/^-([NP]) (\S+)(?: (ACCEPT|DROP))?/gm)].map(
    ([, verb, name = '', policy]): AnyChain => ({
      table,
      name,
      hook: verb === 'P' ? name.toLowerCase() : undefined,
      policy: policy === 'DROP' ? 'drop' : policy === 'ACCEPT' ? 'accept' : undefined,
    }),
  );
  return { chains, unseen: [] };
}
