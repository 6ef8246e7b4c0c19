import { at, type NftFamily } from '../../rules/nftables/table.ts';

/** The arguments with which nft takes commands from its input: one transaction. nft itself tries again when another writer comes between. */
export const COMMIT_ARGUMENTS: readonly string[] = ['--file', '-'];

const LISTING_OPTIONS: readonly string[] = ['--stateless', '--numeric-priority'];

/** Returns the arguments with which nft lists one of our tables, without what packets change. */
export function listArguments(family: NftFamily): readonly string[] {
  return [...LISTING_OPTIONS, 'list', 'table', ...at(family).split(' ')];
}

/** Returns the arguments with which nft lists one set of our `inet` table. */
export function listSetArguments(name: string): readonly string[] {
  return [...LISTING_OPTIONS, 'list', 'set', ...at('inet', name).split(' ')];
}
