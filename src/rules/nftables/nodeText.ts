import { printable } from '../../net/quote.ts';
import { judgedBy } from '../judgedBy.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../mark.ts';
import type { AttachedPod } from '../pod.ts';
import type { WantedPolicy } from '../wanted.ts';
import { withGeneration } from './generation.ts';
import { nftProfileChainName } from './names.ts';
import { NFT_FAMILIES } from './table.ts';
import { tableText } from './tableText.ts';
import { wantedTables } from './wantedTables.ts';

/** Returns both tables as an agent writes them into a kernel where it finds nothing, for `nft -f`; comments say whose each profile is. */
export function nftNodeText({
  policy,
  pods,
}: {
  readonly policy: WantedPolicy;
  readonly pods: readonly AttachedPod[];
}): string {
  const notes = new Map(
    [...policy.profiles.keys()].map((name) => [
      nftProfileChainName(name),
      printable(`the profile of ${judgedBy(name, policy).join(', ')}`),
    ]),
  );
  const plan = { commands: [], closes: true, after: wantedTables(pods, policy) };
  const { after } = withGeneration(plan, generationMark(1, DEFAULT_MARK_MASK));
  return NFT_FAMILIES.map((family) => tableText(family, { table: after[family], notes })).join('\n');
}
