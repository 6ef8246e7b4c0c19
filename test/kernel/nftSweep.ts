import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { OUR_TABLES } from './breaking.ts';

/** One thing that is done to our tables. */
export interface Breach {
  /** The same on every node with the same pods but for their number, and after whatever was made anew. */
  readonly name: string;
  /** One transaction of nft. */
  readonly commands: readonly string[];
}

/** Returns everything that can be done to each rule, element, chain and set of our tables, as they are on this node now. */
export async function sweepOf({ run }: LabNode): Promise<readonly Breach[]> {
  const texts = OUR_TABLES.map(async (table) => ({
    table,
    text: await output(run, ['nft', '--stateless', '--handle', 'list', 'table', ...table.split(' ')]),
  }));
  return (await Promise.all(texts)).flatMap(({ table, text }) => {
    const blocks = blocksOf(text);
    return blocks.flatMap((block) => (block.kind === 'chain' ? chainBreaches : setBreaches)({ table, block, blocks }));
  });
}

interface Block {
  readonly kind: string;
  readonly name: string;
  readonly lines: readonly string[];
}

interface Found {
  readonly table: string;
  readonly block: Block;
  /** All of its table. */
  readonly blocks: readonly Block[];
}

/** Returns the chains, sets and maps of a table as nft lists it. */
function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(/^\t(chain|set|map) (\S+) \{.*\n((?:\t\t.*\n)*)\t\}$/gm)].map(
    ([, kind = '', name = '', body = '']) => ({ kind, name, lines: linesOf(body) }),
  );
}

function linesOf(body: string): readonly string[] {
  return body
    .replaceAll(/,\n\s+/g, ', ')
    .split('\n')
    .map((line) => line.trim());
}

function chainBreaches({ table, block, blocks }: Found): readonly Breach[] {
  const { name, lines } = block;
  const chain = `${table} ${name}`;
  const title = `${table} ${titleOf(block)}`;
  const rules = lines.filter((line) => / # handle \d+$/.test(line));
  // Older generations are dead.
  const live = /^(?:judged|settle)$/.test(name) ? rules.slice(0, 2) : rules;
  const leading = blocks.flatMap((each) => leadingTo(name, { table, block: each }));
  return [
    { name: `flush ${title}`, commands: [`flush chain ${chain}`] },
    { name: `accept first in ${title}`, commands: [`insert rule ${chain} accept`] },
    { name: `accept last in ${title}`, commands: [`add rule ${chain} accept`] },
    { name: `delete ${title}`, commands: [...leading, `flush chain ${chain}`, `delete chain ${chain}`] },
    ...live.flatMap((rule, index) => {
      const handle = /handle \d+$/.exec(rule)?.[0];
      return [
        { name: `delete rule ${index} of ${title}`, commands: [`delete rule ${chain} ${handle}`] },
        { name: `replace rule ${index} of ${title}`, commands: [`replace rule ${chain} ${handle} counter`] },
      ];
    }),
  ];
}

/** Returns what to call a chain: a pod's by its pod, without a number. */
function titleOf({ name, lines }: Block): string {
  const pod = lines.flatMap((line) => /^comment "((?:to|from) \S+?)(?:-\d+)?"$/.exec(line)?.[1] ?? [])[0];
  return /^(?:to|from)-[A-Z2-7]+$/.test(name) ? (pod ?? name) : name;
}

/** Returns the commands that take away what leads to a chain. */
function leadingTo(chain: string, { table, block }: Pick<Found, 'table' | 'block'>): readonly string[] {
  const leads = new RegExp(`(?:goto|jump) ${chain}(?: # (handle \\d+))?$`);
  if (block.kind !== 'chain')
    return elementsOf(block)
      .filter((element) => leads.test(element))
      .map((element) => `delete element ${table} ${block.name} { ${keyOf(element)} }`);
  return block.lines.flatMap((line) => {
    const handle = leads.exec(line)?.[1];
    return handle === undefined ? [] : [`delete rule ${table} ${block.name} ${handle}`];
  });
}

function setBreaches({ table, block }: Found): readonly Breach[] {
  const set = `${table} ${block.name}`;
  const elements = elementsOf(block);
  if (elements.length === 0) return [];
  const verdicts = block.kind === 'map' ? ['accept', 'drop'] : [];
  const flush = `flush ${block.kind} ${set}`;
  return [
    { name: flush, commands: [flush] },
    ...elements.flatMap((element, index) => {
      const gone = `delete element ${set} { ${keyOf(element)} }`;
      const other = (verdict: string) => `add element ${set} { ${keyOf(element)} : ${verdict} }`;
      return [
        { name: `delete element ${index} of ${set}`, commands: [gone] },
        ...verdicts.map((verdict) => ({
          name: `lead element ${index} of ${set} to ${verdict}`,
          commands: [gone, other(verdict)],
        })),
      ];
    }),
  ];
}

function elementsOf({ lines }: Pick<Block, 'lines'>): readonly string[] {
  const text = lines.flatMap((line) => /^elements = \{ (.*) \}$/.exec(line)?.[1] ?? [])[0];
  return text === undefined ? [] : text.split(', ');
}

/** Returns an element without its comment and its verdict. */
function keyOf(element: string): string {
  return element.replace(/(?: comment ".*?")?(?: : .*)?$/, '');
}
