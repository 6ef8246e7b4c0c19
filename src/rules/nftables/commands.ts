import { at, nftComment, type NftChain, type NftCommands, type NftFamily, type NftRule, type NftSet } from './table.ts';

/** Returns the command that makes a chain; one that is there already stays as it is. */
export function addChain(
  family: NftFamily,
  { name, chain: { hook, comment } }: { readonly name: string; readonly chain: NftChain },
): string {
  const inside = [...(hook === undefined ? [] : [hook]), ...(comment === undefined ? [] : [`${nftComment(comment)};`])];
  return `add chain ${at(family, name)}${inside.length === 0 ? '' : ` { ${inside.join(' ')} }`}`;
}

/**
 * Returns the commands that put rules at the end of a chain that is there, by declaring it once more: for a command about rules alone nft first reads
 * all sets and chains of the node, several microseconds each. Sets that the rules name must be declared before, in the same text.
 */
export function addRules(
  family: NftFamily,
  { name, rules }: { readonly name: string; readonly rules: readonly NftRule[] },
): NftCommands {
  return rules.length === 0 ? [] : [`add chain ${at(family, name)} { ${rules.map((rule) => `${rule};`).join(' ')} }`];
}

/** Returns the command that makes a set or map without elements; one that is there already stays as it is. */
export function addSet(
  family: NftFamily,
  { name, set }: { readonly name: string; readonly set: Omit<NftSet, 'elements'> },
): string {
  return declared(family, { name, set, more: [] });
}

/**
 * Returns the commands that put more keys into a set that is there, by declaring it once more: for a command about elements alone nft first reads all
 * sets and chains of the node, several microseconds each.
 */
export function addKeys(
  family: NftFamily,
  {
    name,
    set,
    keys,
  }: { readonly name: string; readonly set: Omit<NftSet, 'elements'>; readonly keys: readonly string[] },
): NftCommands {
  return chunks(keys).map((texts) => declared(family, { name, set, more: [`elements = { ${texts} }`] }));
}

interface Declared {
  readonly name: string;
  readonly set: Omit<NftSet, 'elements'>;
  readonly more: readonly string[];
}

function declared(family: NftFamily, { name, set: { kind, type, comment }, more }: Declared): string {
  const inside = [...type.split('; '), ...(comment === undefined ? [] : [nftComment(comment)]), ...more];
  return `add ${kind} ${at(family, name)} { ${inside.map((part) => `${part};`).join(' ')} }`;
}

// One line each; nft reads lines of any length, people do not.
const ELEMENTS_A_LINE = 256;

/** Returns the commands that put elements in. Those that are there already stay as they are; another verdict for the same key is an error. */
export function addElements(
  family: NftFamily,
  { set, elements }: { readonly set: string; readonly elements: readonly (readonly [string, string])[] },
): NftCommands {
  return chunks(elements.map(([key, rest]) => key + rest)).map(
    (texts) => `add element ${at(family, set)} { ${texts} }`,
  );
}

/** Returns the commands that take elements out. That one is not there is an error. */
export function deleteElements(
  family: NftFamily,
  { set, keys }: { readonly set: string; readonly keys: readonly string[] },
): NftCommands {
  return chunks(keys).map((texts) => `delete element ${at(family, set)} { ${texts} }`);
}

function chunks(texts: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (let start = 0; start < texts.length; start += ELEMENTS_A_LINE)
    lines.push(texts.slice(start, start + ELEMENTS_A_LINE).join(', '));
  return lines;
}
