import { printable } from '../../net/quote.ts';
import { judgedBy } from '../judgedBy.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../mark.ts';
import type { AttachedPod } from '../pod.ts';
import type { WantedPolicy } from '../wanted.ts';
import { withGeneration } from './generation.ts';
import { nftProfileChainName } from './names.ts';
import { peerSets, type NftPeerSet } from './peerSets.ts';
import { bareElements, NFT_FAMILIES, type NftSet } from './table.ts';
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
  const judged = judgedBy(policy);
  const notes = new Map(
    [...policy.profiles.keys()].map((name) => [
      nftProfileChainName(name),
      printable(`the profile of ${(judged.get(name) ?? []).join(', ')}`),
    ]),
  );
  const plan = { commands: [], cleanUp: [], closes: true, after: wantedTables(pods, policy), deletedPeers: [] };
  const { after } = withGeneration(plan, generationMark(1, DEFAULT_MARK_MASK));
  const peers = [...policy.groups.values()].flatMap(peerSets).map(peerSet);
  const tables = { ...after, inet: { ...after.inet, sets: new Map([...after.inet.sets, ...peers]) } };
  return NFT_FAMILIES.map((family) => tableText(family, { table: tables[family], notes })).join('\n');
}

function peerSet({ name, type, comment, members }: NftPeerSet): readonly [string, NftSet] {
  return [name, { kind: 'set', type, comment, elements: bareElements(members) }];
}
