import { addElements, addKeys, addSet, deleteElements } from './commands.ts';
import type { Changes, TableChange, Untouched } from './plan.ts';
import { at, setsIn, verdictOf, type NftChain, type NftCommands, type NftFamily, type NftSet } from './table.ts';

/** Who is taken out of it is refused less, and can wait: to delete an element nft first reads what is in every set of ranges on the node. */
const ISOLATED_SET = 'isolated';

/** Returns what changes of a table's sets but for those of peers, when its chains are as `chains` then. */
export function setChanges(
  { family, present, wanted, untouched }: TableChange,
  chains: ReadonlyMap<string, NftChain>,
): Changes<NftSet> {
  const after = new Map<string, NftSet>();
  const made: string[] = [];
  const filled: string[] = [];
  const late: string[] = [];
  let closes = false;
  for (const [name, set] of wanted.sets) {
    const found = present.sets.get(name);
    if (found === undefined) made.push(addSet(family, { name, set }));
    const change = elementChanges(family, { name, present: found?.elements ?? NONE, set, untouched });
    (name === ISOLATED_SET ? late : filled).push(...change.taken);
    filled.push(...change.put);
    closes ||= change.closes;
    after.set(name, change.after);
  }
  const left = [...present.sets].filter(([name]) => !wanted.sets.has(name));
  const inUse = left.length === 0 ? NO_NAMES : namedIn(chains);
  for (const [name, set] of left) if (inUse.has(name)) after.set(name, set);
  const stale = left.filter(([name]) => !inUse.has(name));
  // Somebody's map may lead to chains that go.
  const emptied = stale.filter(([, { kind }]) => kind === 'map').map(([name]) => `flush map ${at(family, name)}`);
  const gone = stale.map(([name, { kind }]) => `delete ${kind} ${at(family, name)}`);
  return { made, filled: [...filled, ...emptied], gone: [...late, ...gone], closes, after };
}

type Elements = NftSet['elements'];

const NONE: Elements = new Map();
const NO_NAMES: ReadonlySet<string> = new Set();

function namedIn(chains: ReadonlyMap<string, NftChain>): ReadonlySet<string> {
  return new Set([...chains.values()].flatMap(({ rules }) => setsIn(rules)));
}

interface ElementChange {
  readonly name: string;
  readonly present: Elements;
  readonly set: NftSet;
  readonly untouched: Untouched;
}

interface ElementCommands {
  readonly taken: NftCommands;
  readonly put: NftCommands;
  readonly closes: boolean;
  readonly after: NftSet;
}

function elementChanges(family: NftFamily, { name, present, set, untouched }: ElementChange): ElementCommands {
  const { elements } = set;
  if (present === elements) return { ...UNCHANGED, after: set };
  const others = [...present].filter((element) => !holds(elements, element));
  const left = new Map(others.filter((element) => isUntouched(element, untouched)));
  const surplus = others.filter(([key]) => !left.has(key));
  // What an ADD under way has taken over from an earlier holder stays taken over.
  const missing = [...elements].filter((element) => !left.has(element[0]) && !holds(present, element));
  const after = left.size === 0 ? set : { ...set, elements: new Map([...elements, ...left]) };
  if (missing.length + surplus.length === 0) return { ...UNCHANGED, after };
  const keys = missing.map(([key, rest]) => key + rest);
  // A hook, or a lock of sources, that comes or goes may close.
  return {
    taken: deleteSurplus(family, { name, surplus }),
    put: addKeys(family, { name, set, keys }),
    closes: true,
    after,
  };
}

const UNCHANGED = { taken: [], put: [], closes: false } as const;

/** An element that leads elsewhere than when it was read, to another pod by now, makes the transaction fail: it would be deleted whatever it says. */
function deleteSurplus(
  family: NftFamily,
  { name, surplus }: { readonly name: string; readonly surplus: readonly (readonly [string, string])[] },
): NftCommands {
  const asserted = surplus
    .filter(([, rest]) => verdictOf(rest) !== '')
    .map(([key, rest]) => [key, ` : ${verdictOf(rest)}`] as const);
  return [
    ...addElements(family, { set: name, elements: asserted }),
    ...deleteElements(family, { set: name, keys: surplus.map(([key]) => key) }),
  ];
}

/** Comments are for people, and do not tell elements apart. */
function holds(elements: Elements, [key, rest]: readonly [string, string]): boolean {
  const found = elements.get(key);
  return found !== undefined && (found === rest || verdictOf(found) === verdictOf(rest));
}

function isUntouched([key, rest]: readonly [string, string], { chains, interfaces }: Untouched): boolean {
  const chain = /^goto (\S+)$/.exec(verdictOf(rest))?.[1];
  const name = /^"([^"]+)"/.exec(key)?.[1];
  return (chain !== undefined && chains.has(chain)) || (name !== undefined && interfaces.has(name));
}
