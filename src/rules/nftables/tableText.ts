import { at, nftComment, type NftChain, type NftFamily, type NftSet, type NftTable } from './table.ts';

/** Returns a table as `nft list table` prints it, and as `nft -f` reads it. `notes`, by the name of a chain or set, stand above it. */
export function tableText(
  family: NftFamily,
  { table, notes }: { readonly table: NftTable; readonly notes: ReadonlyMap<string, string> },
): string {
  const noted = (name: string, block: readonly string[]) => {
    const note = notes.get(name);
    return [...(note === undefined ? [] : [`# ${note}`]), ...block].map((line) => `\t${line}`).join('\n');
  };
  const blocks = [
    ...[...table.sets].map(([name, set]) => noted(name, setLines(name, set))),
    ...[...table.chains].map(([name, chain]) => noted(name, chainLines(name, chain))),
  ];
  return `table ${at(family)} {\n${blocks.join('\n\n')}\n}\n`;
}

function setLines(name: string, { kind, type, comment, elements }: NftSet): readonly string[] {
  const texts = [...elements].map(([key, rest]) => key + rest);
  const last = texts.length - 1;
  return [
    `${kind} ${name} {`,
    ...type.split('; ').map((part) => `\t${part}`),
    ...(comment === undefined ? [] : [`\t${nftComment(comment)}`]),
    ...texts.map((text, index) => `\t${index === 0 ? 'elements = {' : '\t    '} ${text}${index === last ? ' }' : ','}`),
    '}',
  ];
}

function chainLines(name: string, { hook, comment, rules }: NftChain): readonly string[] {
  return [
    `chain ${name} {`,
    ...(comment === undefined ? [] : [`\t${nftComment(comment)}`]),
    ...(hook === undefined ? [] : [`\t${hook}`]),
    ...rules.map((rule) => `\t${rule}`),
    '}',
  ];
}
