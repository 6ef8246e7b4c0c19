import { areSame } from '../areSame.ts';
import { QUARANTINE, type AttachedPod, type PodHooks, type PodJudgements } from '../pod.ts';
import type { WantedPolicy } from '../wanted.ts';
import { endChains } from './endChains.ts';
import { podTable, type PodElement, type PodTable } from './podTable.ts';
import { profileChains } from './profileRules.ts';
import { STANDING_TABLES } from './standing.ts';
import type { NftChain, NftFamily, NftSet, NftTable } from './table.ts';

/** Returns what both tables should hold beside the sets of peers; the chains of the generation are left empty. The same objects for the same. */
export function wantedTables(
  pods: readonly AttachedPod[],
  { profiles, nflogGroup }: Pick<WantedPolicy, 'profiles'> & { readonly nflogGroup?: number | undefined },
): Readonly<Record<NftFamily, NftTable>> {
  const own = pods.map(podTableOf);
  const isSame = last?.profiles === profiles && last.nflogGroup === nflogGroup && areSame(own, last.own);
  if (last !== undefined && isSame) return last.tables;
  const { inet, bridge } = STANDING_TABLES;
  const chains = new Map<string, NftChain>(inet.chains);
  if (nflogGroup !== undefined) for (const [name, chain] of endChains({ nflogGroup })) chains.set(name, chain);
  for (const profile of profiles.values()) for (const [name, chain] of profileChains(profile)) chains.set(name, chain);
  for (const pod of own) for (const [name, chain] of pod.chains) chains.set(name, chain);
  const sets = filledSets(own.map(({ elements }) => elements));
  const tables = { inet: { chains, sets: sets.inet }, bridge: { chains: bridge.chains, sets: sets.bridge } };
  last = { profiles, nflogGroup, own, tables };
  return tables;
}

let last:
  | {
      readonly profiles: WantedPolicy['profiles'];
      readonly nflogGroup: number | undefined;
      readonly own: readonly PodTable[];
      readonly tables: Readonly<Record<NftFamily, NftTable>>;
    }
  | undefined;

// Every pass asks for every pod. The same objects tell a later comparison that nothing has changed.
const tables = new WeakMap<PodHooks, PodTable & { readonly judgements: PodJudgements }>();

function podTableOf({ hooks, judgements = QUARANTINE }: AttachedPod): PodTable {
  const known = tables.get(hooks);
  if (known?.judgements === judgements) return known;
  const { chains, elements } = podTable(hooks, judgements);
  const isSame = elements.length === known?.elements.length;
  // The same pod has more elements under other judgements, or fewer, but no others.
  const made = { judgements, chains, elements: isSame ? known.elements : elements };
  tables.set(hooks, made);
  return made;
}

type Elements = readonly (readonly PodElement[])[];
type Sets = Readonly<Record<NftFamily, NftTable['sets']>>;

let filled: { readonly elements: Elements; readonly sets: Sets } | undefined;

/** Returns the standing sets with the pods' elements in them: the same ones as the last time if the elements are. */
function filledSets(elements: Elements): Sets {
  if (filled !== undefined && areSame(elements, filled.elements)) return filled.sets;
  const { inet, bridge } = STANDING_TABLES;
  const sets = {
    inet: withElements(inet.sets, { family: 'inet', elements }),
    bridge: withElements(bridge.sets, { family: 'bridge', elements }),
  };
  filled = { elements, sets };
  return sets;
}

/** Of two pods with one address the later one has it. */
function withElements(
  sets: NftTable['sets'],
  { family, elements }: { readonly family: NftFamily; readonly elements: Elements },
): NftTable['sets'] {
  const content = new Map([...sets.keys()].map((name) => [name, new Map<string, string>()]));
  for (const own of elements)
    for (const element of own) if (element.family === family) content.get(element.set)?.set(element.key, element.rest);
  return new Map(
    [...sets].map(([name, set]): [string, NftSet] => [name, { ...set, elements: content.get(name) ?? set.elements }]),
  );
}
