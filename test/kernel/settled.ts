import type { LabNode } from '../lab/node.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';

/**
 * Returns a node's netfilter, by command and line, without what differs by the way that led there: the generation, the order of chains, sets,
 * elements, hooks and the profiles' index. Rules of other chains keep their order.
 */
export async function settledSnapshot({ run }: LabNode): Promise<Readonly<Record<string, readonly string[]>>> {
  const snapshot = await netfilterSnapshot(run);
  return Object.fromEntries(Object.entries(snapshot).map(([command, text]) => [command, settledLines(text)]));
}

/**
 * Returns a text in which the generation is called MARK, in the words of iptables and of nft, and without the older ones that stand dead behind
 * it.
 */
export function withoutGeneration(text: string): string {
  return withoutOldGenerations(text)
    .replaceAll(/0x[0-9a-f]+\/0xffff0000/g, 'MARK')
    .replaceAll(/(ct mark and 0xffff0000 == |ct mark xor )0x[0-9a-f]+/g, '$1MARK')
    .replaceAll(/^(\t\tct mark )(?:& 0xffff0000 == 0x[0-9a-f]+|0x[0-9a-f]+\/16) accept$/gm, '$1MARK accept')
    .replaceAll(/^(\t\tct mark set )ct mark & 0x[0-9a-f]+ \| 0x[0-9a-f]+$/gm, '$1MARK');
}

/** Returns a text without the older generations, in the words of iptables and of nft. */
export function withoutOldGenerations(text: string): string {
  return text
    .replaceAll(/^(-A KUBE-NWPLCY-CHAIN -j RETURN\n)(?:-A KUBE-NWPLCY-CHAIN .*\n)+/gm, '$1')
    .replaceAll(/^(\tchain KUBE-NWPLCY-CHAIN \{\n(?:\t\t.*\n)*?\t\tcounter return\n)(?:\t\t.*\n)+/gm, '$1')
    .replaceAll(
      /^(\tchain (?:judged|settle) \{\n(?:\t\tcomment .*\n)?\t\tct mark .*\n\t\treturn\n)(?:\t\t.*\n)+/gm,
      '$1',
    );
}

/** Returns one command's lines of a settled snapshot. */
export function settledLines(text: string): readonly string[] {
  // A set that is made anew hashes by another seed.
  const settled = withoutBuckets(withoutGeneration(text).replaceAll(/ initval \S+/g, ''));
  const keyed = settled.startsWith('table ')
    ? rulesetLines(settled)
    : settled.split('\n').map((line) => ({ line, key: sortKey(line) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key))).map(({ line }) => line);
}

/** Where a hook stands depends on what else came and went: iptables' are all shown where ADD puts them, and not once more in the words of nft. */
function withoutBuckets(text: string): string {
  return text
    .replaceAll(/^table ip6? filter \{\n[^]*?^\}\n?/gm, '')
    .replaceAll(/^(?:-N |:)NWPLCY-B[EIS]-.*\n/gm, '')
    .replaceAll(/^-A NWPLCY-(?:EGRESS|INGRESS|SOURCES) .*-g NWPLCY-B[EIS]-.*\n/gm, '')
    .replaceAll(/^-A NWPLCY-BE-.* -g NWPLCY-SOURCES\n/gm, '')
    .replaceAll(/^-A NWPLCY-BE-\S+/gm, '-A NWPLCY-EGRESS')
    .replaceAll(/^-A NWPLCY-BS-\S+/gm, '-A NWPLCY-SOURCES')
    .replaceAll(/^-A NWPLCY-BI-\S+/gm, '-A NWPLCY-INGRESS');
}

const UNORDERED = new Set(['NWPLCY-INGRESS', 'NWPLCY-EGRESS', 'NWPLCY-SOURCES', 'NWPLCY-PROFILES']);

interface KeyedLine {
  readonly line: string;
  readonly key: string;
}

function sortKey(line: string): string {
  const chain = /^-A (\S+)/.exec(line)?.[1];
  return chain === undefined || UNORDERED.has(chain) ? line : `-A ${chain}`;
}

/** Returns what `nft list ruleset` prints with each line's table and chain or set before it, and each element in a line of its own. */
function rulesetLines(text: string): readonly KeyedLine[] {
  return text.split(/^(?=table )/m).flatMap((table) => {
    const [, name = ''] = /^table (.*) \{/.exec(table) ?? [];
    const [head = '', ...blocks] = table.split(/^\t(?=.* \{$)/m);
    return [...blockLines(`${name}:`, head), ...blocks.flatMap((block) => blockLines(name, block))];
  });
}

function blockLines(table: string, block: string): readonly KeyedLine[] {
  const [first = '', ...rest] = block.replaceAll(/,\n\s+/g, ', ').split('\n');
  const path = `${table} ${first}`;
  const lines = rest.map((line) => line.trim()).filter((line) => line !== '' && line !== '}');
  return [{ line: path, key: path }, ...lines.flatMap((line) => keyedLines(path, line))];
}

function keyedLines(path: string, line: string): readonly KeyedLine[] {
  const elements = /^elements = \{ (.*) \}$/.exec(line)?.[1];
  if (elements !== undefined)
    return elements.split(', ').map((element) => ({ line: `${path} ${element}`, key: `${path} ${element}` }));
  const isOrdered = ![...UNORDERED].some((chain) => path.endsWith(` chain ${chain} {`));
  return [{ line: `${path} ${line}`, key: isOrdered ? path : `${path} ${line}` }];
}
