import { keyText, sortedKeys } from './nftKeys.ts';
import type { NftChain, NftElement, NftSet, NftTable } from './nftModel.ts';
import { priorityText } from './nftPriorities.ts';
import { ruleText, verdictText } from './nftRulePrint.ts';
import type { TableFamily } from './nftRule.ts';
import { TYPES } from './nftTypes.ts';

export interface ListingOptions {
  /** As `nft -a`: every table, chain, set and rule ends with `# handle N`. */
  readonly handles?: boolean;
}

/** Returns a table as `nft list table` of nft 1.0.6 prints it. */
export function tableText(table: NftTable, { handles = false }: ListingOptions = {}): string {
  const handle = (of: { readonly handle: number }) => (handles ? ` # handle ${of.handle}` : '');
  const blocks = [
    ...[...table.sets.values()].map((set) => block(`${set.kind} ${set.name} {${handle(set)}`, setLines(set))),
    ...[...table.chains.values()].map((chain) =>
      block(`chain ${chain.name} {${handle(chain)}`, [
        ...chainLines(chain, table.family),
        ...chain.rules.map((rule) => `${ruleText(rule)}${handle(rule)}`),
      ]),
    ),
  ];
  const comment = table.comment === undefined ? '' : `\t${commentText(table.comment)}\n`;
  return `table ${table.family} ${table.name} {${handle(table)}\n${comment}${blocks.join('\n')}}\n`;
}

function block(head: string, lines: readonly string[]): string {
  return `\t${head}\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
}

function commentText(comment: string): string {
  return `comment "${comment}"`;
}

function chainLines({ comment, base }: NftChain, family: TableFamily): readonly string[] {
  const lines = comment === undefined ? [] : [commentText(comment)];
  if (base === undefined) return lines;
  const priority = priorityText(base.priority, { family, hook: base.hook });
  return [...lines, `type filter hook ${base.hook} priority ${priority}; policy ${base.policy};`];
}

function setLines(set: NftSet): readonly string[] {
  const types = set.types.join(' . ');
  return [
    `type ${types}${set.kind === 'map' ? ' : verdict' : ''}`,
    ...(set.interval ? ['flags interval'] : []),
    ...(set.filled === undefined
      ? []
      : [`size ${set.filled.size}`, 'flags dynamic,timeout', `timeout ${set.filled.timeout}`]),
    ...(set.comment === undefined ? [] : [commentText(set.comment)]),
    ...(set.elements.size === 0 ? [] : [elementsText(set)]),
  ];
}

function elementsText(set: NftSet): string {
  const [type] = set.types;
  const columns = set.types.length > 1 || type === undefined ? 1 : TYPES[type].columns;
  const byText = new Map([...set.elements.values()].map((element) => [keyText(set.types, element.key), element]));
  const keys = sortedKeys(
    set.types,
    [...byText.values()].map(({ key }) => key),
  );
  const elements = keys.map((key) => {
    const text = keyText(set.types, key);
    return `${text}${elementEnd(byText.get(text))}`;
  });
  const lines = elements.map((text, index) =>
    index === 0 ? text : `${index % columns === 0 ? ',\n\t\t\t     ' : ', '}${text}`,
  );
  return `elements = { ${lines.join('')} }`;
}

function elementEnd(element: NftElement | undefined): string {
  const comment = element?.comment === undefined ? '' : ` ${commentText(element.comment)}`;
  return element?.verdict === undefined ? comment : `${comment} : ${verdictText(element.verdict)}`;
}
