import type { IpFamily } from '../net/family.ts';
import { ENTRY_CHAIN } from '../rules/names.ts';
import { STANDING_TABLES } from '../rules/nftables/standing.ts';
import { NFT_FAMILIES, type NftChain, type NftFamily } from '../rules/nftables/table.ts';
import type { Backend } from './backend.ts';
import { Iptables } from './iptables/iptables.ts';
import { readTable } from './nftables/nft.ts';

/**
 * Returns what keeps packets from reaching our rules, a line each; nothing where every hook stands where it must. Others' chains are read for our
 * jump alone, and nothing is written. Throws a CommandError, as where only root may look.
 */
export async function hookProblems(
  backend: Backend,
  { families }: { readonly families: readonly IpFamily[] },
): Promise<readonly string[]> {
  const found =
    backend === 'nftables'
      ? await Promise.all(NFT_FAMILIES.map(tableProblems))
      : await Promise.all(families.map(async (family) => jumpProblems(new Iptables(family, backend))));
  return found.flat();
}

async function jumpProblems(table: Iptables): Promise<readonly string[]> {
  const { chains, jumps } = await table.read([]);
  if ((chains.get(ENTRY_CHAIN) ?? []).length === 0) return [`${table.family}: there is no ${ENTRY_CHAIN}`];
  return [
    ...(jumps.FORWARD.inPlace
      ? []
      : [
          jumps.FORWARD.count === 0
            ? `${table.family}: FORWARD has no jump to ${ENTRY_CHAIN}`
            : `${table.family}: the jump to ${ENTRY_CHAIN} is not the first rule of FORWARD`,
        ]),
    ...(jumps.OUTPUT.inPlace ? [] : [`${table.family}: OUTPUT has no jump to ${ENTRY_CHAIN}`]),
  ];
}

async function tableProblems(family: NftFamily): Promise<readonly string[]> {
  const table = await readTable(family);
  if (table === undefined) return [`there is no table ${family} kube-nwplcy`];
  if (table.isStrange === true) return [`the table ${family} kube-nwplcy is dormant, or holds what is not ours`];
  const hooked = [...STANDING_TABLES[family].chains].filter(([, { hook }]) => hook !== undefined);
  return hooked
    .filter(([name, chain]) => !isSame(table.chains.get(name), chain))
    .map(([name]) => `the chain ${name} of the table ${family} kube-nwplcy is not as it must be`);
}

function isSame(found: NftChain | undefined, wanted: NftChain): boolean {
  return found?.hook === wanted.hook && found?.rules.join('\n') === wanted.rules.join('\n');
}
