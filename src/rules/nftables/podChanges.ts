import type { PodHooks, PodJudgements } from '../pod.ts';
import { GENERATION_CHAINS, repeatedGeneration } from './generation.ts';
import { isNftPeerSet, nftPodChainNames } from './names.ts';
import { podTable, type PodElement } from './podTable.ts';
import { NFT_FAMILIES, verdictOf, type NftSet, type NftTable, type NftTables } from './table.ts';

/**
 * Returns the tables with what an ADD has put into them. What they hold of the pod already is left out instead: an ADD that came twice has replaced
 * it, and nobody knows with what.
 */
export function withPod(
  tables: NftTables,
  { hooks, judgements }: { readonly hooks: PodHooks; readonly judgements: PodJudgements },
): NftTables {
  const { inet, bridge } = tables;
  if (inet === undefined || bridge === undefined) return tables;
  const names = nftPodChainNames(hooks);
  if (inet.chains.has(names.to) || inet.chains.has(names.from)) return withoutPods(tables, [hooks]);
  const pod = podTable(hooks, judgements);
  const chains = new Map([...inet.chains, ...pod.chains]);
  for (const name of GENERATION_CHAINS) {
    const chain = chains.get(name);
    if (chain !== undefined) chains.set(name, { ...chain, rules: repeatedGeneration(chain.rules) });
  }
  return {
    inet: {
      ...inet,
      chains,
      sets: withElements(
        inet.sets,
        pod.elements.filter(({ family }) => family === 'inet'),
      ),
    },
    bridge: {
      ...bridge,
      sets: withElements(
        bridge.sets,
        pod.elements.filter(({ family }) => family === 'bridge'),
      ),
    },
  };
}

/** Returns the tables without what is these pods' own. */
export function withoutPods(tables: NftTables, pods: readonly PodHooks[]): NftTables {
  const chains = new Set(pods.map(nftPodChainNames).flatMap(({ to, from }) => [to, from]));
  const interfaces = new Set(
    pods.flatMap(({ hostInterface }) => (hostInterface === undefined ? [] : [`"${hostInterface}"`])),
  );
  const isTheirs = ([key, rest]: readonly [string, string]) => {
    const verdict = verdictOf(rest);
    return verdict === '' ? interfaces.has(key.split(' . ')[0] ?? '') : chains.has(verdict.replace(/^goto /, ''));
  };
  const without = (table: NftTable | undefined): NftTable | undefined =>
    table === undefined
      ? undefined
      : {
          ...table,
          chains: new Map([...table.chains].filter(([name]) => !chains.has(name))),
          sets: new Map(
            [...table.sets].map(([name, set]) => [name, isNftPeerSet(name) ? set : withoutElements(set, isTheirs)]),
          ),
        };
  const [inet, bridge] = NFT_FAMILIES.map((family) => without(tables[family]));
  return { inet, bridge };
}

function withElements(sets: NftTable['sets'], elements: readonly PodElement[]): NftTable['sets'] {
  const filled = new Map(sets);
  for (const { set: name, key, rest } of elements) {
    const set = filled.get(name);
    if (set !== undefined) filled.set(name, { ...set, elements: new Map(set.elements).set(key, rest) });
  }
  return filled;
}

function withoutElements(set: NftSet, isTheirs: (element: readonly [string, string]) => boolean): NftSet {
  const left = [...set.elements].filter((element) => !isTheirs(element));
  return left.length === set.elements.size ? set : { ...set, elements: new Map(left) };
}
