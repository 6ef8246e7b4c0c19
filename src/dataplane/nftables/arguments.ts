import { at, type NftFamily } from '../../rules/nftables/table.ts';

/** The arguments with which nft takes commands from its input: one transaction. nft itself tries again when another writer comes between. */
export const COMMIT_ARGUMENTS: readonly string[] = ['--file', '-'];

/** Returns the arguments with which nft lists one of our tables, without what packets change. */
export function listArguments(family: NftFamily): readonly string[] {
  return ['--stateless', '--numeric-priority', 'list', 'table', ...at(family).split(' ')];
}
