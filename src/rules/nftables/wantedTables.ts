import type { PeerGroup } from '../../policy/model.ts';
import { QUARANTINE, type AttachedPod } from '../pod.ts';
import type { Profile } from '../profile.ts';
import type { WantedPolicy } from '../wanted.ts';
import { nftProfileChainName } from './names.ts';
import { peerSets } from './peerSets.ts';
import { podTable, type PodElement } from './podTable.ts';
import { profileChain } from './profileRules.ts';
import { STANDING_TABLES } from './standing.ts';
import type { NftChain, NftFamily, NftSet, NftTable } from './table.ts';

/** Returns what both tables should hold; the chains of the generation are left empty. */
export function wantedTables(
  pods: readonly AttachedPod[],
  policy: WantedPolicy,
): Readonly<Record<NftFamily, NftTable>> {
  const own = pods.map(({ hooks, judgements }) => podTable(hooks, judgements ?? QUARANTINE));
  const { inet, bridge } = STANDING_TABLES;
  const elements = own.flatMap((pod) => pod.elements);
  return {
    inet: {
      chains: new Map([
        ...inet.chains,
        ...[...policy.profiles.values()].map((profile) => chainOf(profile)),
        ...own.flatMap(({ chains }) => [...chains]),
      ]),
      sets: new Map([
        ...withElements(inet.sets, { family: 'inet', elements }),
        ...[...policy.groups.values()].flatMap((group) => setsOf(group)),
      ]),
    },
    bridge: { chains: bridge.chains, sets: withElements(bridge.sets, { family: 'bridge', elements }) },
  };
}

/** Returns the sets with the pods' elements in them. Of two pods with one address the later one has it. */
function withElements(
  sets: NftTable['sets'],
  { family, elements }: { readonly family: NftFamily; readonly elements: readonly PodElement[] },
): NftTable['sets'] {
  const filled = new Map([...sets.keys()].map((name) => [name, new Map<string, string>()]));
  for (const element of elements)
    if (element.family === family) filled.get(element.set)?.set(element.key, element.rest);
  return new Map([...sets].map(([name, set]) => [name, { ...set, elements: filled.get(name) ?? set.elements }]));
}

// Every pass asks for all of them, and seldom is one new. The same objects tell a later comparison that nothing has changed.
const chains = new WeakMap<Profile, readonly [string, NftChain]>();
const sets = new WeakMap<PeerGroup, readonly (readonly [string, NftSet])[]>();

function chainOf(profile: Profile): readonly [string, NftChain] {
  const known = chains.get(profile);
  if (known !== undefined) return known;
  const made = [nftProfileChainName(profile.name), profileChain(profile)] as const;
  chains.set(profile, made);
  return made;
}

function setsOf(group: PeerGroup): readonly (readonly [string, NftSet])[] {
  const known = sets.get(group);
  if (known !== undefined) return known;
  const made = peerSets(group);
  sets.set(group, made);
  return made;
}
