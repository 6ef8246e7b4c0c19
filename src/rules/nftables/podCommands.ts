import { QUARANTINE, type AttachmentId, type PodHooks, type PodJudgements } from '../pod.ts';
import { nftPodChainNames } from './names.ts';
import { podTable, type PodElement } from './podTable.ts';
import { STANDING_TABLES } from './standing.ts';
import { at, NFT_FAMILIES, verdictOf, type NftCommands, type NftFamily, type NftTables } from './table.ts';
import { addChain, addElements, addKeys, addRules, deleteElements } from './commands.ts';

/** Returns the commands that hook a pod in, also over what an earlier ADD of the same attachment has left in its chains. */
export function addPodCommands(hooks: PodHooks, judgements: PodJudgements): NftCommands {
  const { chains, elements } = podTable(hooks, judgements);
  return [
    ...[...chains].flatMap(([name, chain]) => [
      addChain('inet', { name, chain }),
      `flush chain ${at('inet', name)}`,
      ...addRules('inet', { name, rules: chain.rules }),
    ]),
    ...elements.flatMap(putIn),
  ];
}

/** Another verdict for the same key is an error. */
function putIn({ family, set: name, key, rest }: PodElement): NftCommands {
  const set = STANDING_TABLES[family].sets.get(name);
  if (set === undefined) throw new RangeError(`There is no set "${name}" in table ${at(family)}`);
  return addKeys(family, { name, set, keys: [`${key}${rest}`] });
}

/**
 * Returns the commands that take a pod out, however it was judged. Each element is put in once more before it is taken out: where its address has
 * become another pod's meanwhile the kernel says so, and nothing at all is taken out.
 */
export function deletePodCommands(hooks: PodHooks): NftCommands {
  const { chains, elements } = podTable(hooks, QUARANTINE);
  return [...elements.flatMap(takeOut), ...[...chains.keys()].map((name) => `delete chain ${at('inet', name)}`)];
}

/**
 * Returns the commands that take out what `tables` hold of an attachment, also what an earlier ADD of it has left. Which sources were locked is told by
 * the addresses that lead to its chains: without its hooks the lock of one that has become another pod's stays.
 */
export function deleteRemainsCommands(attachment: AttachmentId | PodHooks, tables: NftTables): NftCommands {
  const { to, from } = nftPodChainNames(attachment);
  const inet = tables.inet;
  if (inet === undefined) return [];
  const leading = [...inet.sets].flatMap(([set, { elements }]) =>
    [...elements]
      .filter(([, rest]) => rest.endsWith(` goto ${to}`) || rest.endsWith(` goto ${from}`))
      .map(([key, rest]) => ({ family: 'inet', set, key, rest }) as const),
  );
  const locks = presentLocks(attachment, { tables, addresses: new Set(leading.map(({ key }) => key)) });
  return [
    ...[...leading, ...locks].flatMap(takeOut),
    ...[to, from].filter((name) => inet.chains.has(name)).map((name) => `delete chain ${at('inet', name)}`),
  ];
}

/** An interface that is not its own any more, as hooks without one say, keeps its lock. */
function presentLocks(
  attachment: AttachmentId | PodHooks,
  { tables, addresses }: { readonly tables: NftTables; readonly addresses: ReadonlySet<string> },
): readonly PodElement[] {
  const hooks = 'addresses' in attachment ? attachment : undefined;
  if (hooks !== undefined && hooks.hostInterface === undefined) return [];
  const known = (hooks === undefined ? [] : podTable(hooks, QUARANTINE).elements.filter(isLock)).filter(
    ({ family, set, key }) => tables[family]?.sets.get(set)?.elements.has(key) === true,
  );
  const isKnown = ({ family, set, key }: PodElement) =>
    known.some((lock) => lock.family === family && lock.set === set && lock.key === key);
  return [
    ...known,
    ...NFT_FAMILIES.flatMap((family) => locksOf(addresses, { family, tables })).filter((lock) => !isKnown(lock)),
  ];
}

/** Returns the locks of these sources, and the interfaces that have no others. */
function locksOf(
  addresses: ReadonlySet<string>,
  { family, tables }: { readonly family: NftFamily; readonly tables: NftTables },
): readonly PodElement[] {
  const sets = tables[family]?.sets;
  const locks = ['sources4', 'sources6'].flatMap((set) =>
    [...(sets?.get(set)?.elements.keys() ?? [])].map((key) => {
      const [port = '', address = ''] = key.split(' . ');
      return { element: { family, set, key, rest: '' }, port, isOwn: addresses.has(address) };
    }),
  );
  const others = new Set(locks.filter(({ isOwn }) => !isOwn).map(({ port }) => port));
  const own = locks.filter(({ isOwn }) => isOwn);
  const ports = new Set(own.map(({ port }) => port)).difference(others);
  return [
    ...['interfaces', 'isolated'].flatMap((set) =>
      [...ports]
        .filter((key) => sets?.get(set)?.elements.has(key) === true)
        .map((key) => ({ family, set, key, rest: '' })),
    ),
    ...own.map(({ element }) => element),
  ];
}

/** Returns the commands that free a pod's addresses of elements that lead elsewhere: an earlier holder's, whose DEL has not come yet. */
export function freeAddressesCommands(hooks: PodHooks, tables: NftTables): NftCommands {
  const { elements } = podTable(hooks, QUARANTINE);
  return elements.flatMap(({ family, set, key, rest }) => {
    const present = tables[family]?.sets.get(set)?.elements.get(key);
    if (present === undefined || verdictOf(present) === verdictOf(rest)) return [];
    return deleteElements(family, { set, keys: [key] });
  });
}

function isLock({ rest }: PodElement): boolean {
  return rest === '';
}

/** An element that is there with another verdict makes the first command fail, and with it the whole transaction. */
function takeOut({ family, set, key, rest }: PodElement): NftCommands {
  const verdict = verdictOf(rest);
  return [
    ...addElements(family, { set, elements: [[key, verdict === '' ? '' : ` : ${verdict}`]] }),
    ...deleteElements(family, { set, keys: [key] }),
  ];
}
