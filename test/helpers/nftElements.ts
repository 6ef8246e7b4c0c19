import type { WrittenElement } from './nftCommand.ts';
import { keyText } from './nftKeys.ts';
import type { NftElement, NftSet } from './nftModel.ts';
import { verdictText } from './nftRulePrint.ts';
import { chainOfVerdict, type Key } from './nftRule.ts';
import { asElement, parseRange } from './nftTypes.ts';
import { RefusedError } from './restoreTable.ts';

export interface GrowingSet extends NftSet {
  readonly elements: Map<string, NftElement>;
}

interface Addition {
  readonly elements: readonly WrittenElement[];
  /** Whether an element that is there already is refused. */
  readonly create: boolean;
  /** Refuses a chain that nothing may lead to. */
  readonly checkTarget: (chain: string) => void;
}

/** Adds elements to a set or map. Throws a RefusedError for one that nft or the kernel would not take. */
export function addElements(set: GrowingSet, { elements, create, checkTarget }: Addition): void {
  for (const [text, element] of readElements(set, elements)) {
    if ((element.verdict !== undefined) !== (set.kind === 'map'))
      throw new RefusedError(set.kind === 'map' ? 'Could not process rule: Invalid argument' : 'set is not a map');
    const chain = chainOfVerdict(element.verdict);
    if (chain !== undefined) checkTarget(chain);
    const present = set.elements.get(text);
    if (present === undefined) {
      if (set.interval) refuseOverlap(set, element.key);
      set.elements.set(text, element);
    } else if (create || verdictOf(present) !== verdictOf(element)) {
      throw new RefusedError(`Could not process rule: File exists: element ${text}`);
    }
  }
}

/** Deletes elements by their keys: nothing else that is written of them counts. Throws a RefusedError for one that is not there. */
export function deleteElements(set: GrowingSet, elements: readonly WrittenElement[]): void {
  for (const { key } of elements) {
    const text = keyText(set.types, keyOf(set, key));
    if (!set.elements.delete(text))
      throw new RefusedError(`Could not process rule: No such file or directory: element ${text}`);
  }
}

function readElements(set: NftSet, elements: readonly WrittenElement[]): readonly (readonly [string, NftElement])[] {
  const read = elements.map(({ key: tokens, comment, verdict }) => {
    const key = keyOf(set, tokens);
    return [keyText(set.types, key), { key, comment, verdict }] as const;
  });
  // Intervals reach the kernel from the last on, which shows where one command has the same twice.
  return set.interval ? read.toReversed() : read;
}

function keyOf({ types, interval }: NftSet, tokens: WrittenElement['key']): Key {
  if (tokens.length !== types.length) throw new RefusedError('datatype mismatch, another number of fields');
  return tokens.map((token, index) => {
    const type = types[index];
    if (type === undefined || token.kind === 'mark')
      throw new Error(`Cannot read nft text: line ${token.line}, "${token.text}" in an element`);
    const range = parseRange(type, token);
    if (!interval && (range.form !== 'value' || token.text.includes('/')))
      throw new RefusedError(`You must add 'flags interval' to your set declaration if you want to add ${token.text}`);
    return asElement(type, range);
  });
}

function refuseOverlap({ elements }: NftSet, key: Key): void {
  const [range] = key;
  for (const [text, { key: other }] of elements) {
    const [present] = other;
    if (range === undefined || present === undefined || range.from > present.to || range.to < present.from) continue;
    throw new RefusedError(`interval overlaps with an existing one: ${text}`);
  }
}

function verdictOf({ verdict }: NftElement): string {
  return verdict === undefined ? '' : verdictText(verdict);
}
