import { printable } from '../net/quote.ts';
import { groupAnswer } from '../policy/groupAnswer.ts';
import { groupLabel } from '../policy/groupLabel.ts';
import type { AskedPort, Matrix, PodGroup } from '../policy/matrix.ts';

/** Told apart without colour. `mixed`: a node and its own pods reach each other always, those of other nodes do not. */
const SYMBOLS = { allowed: '●', audit: '○', blocked: '·', mixed: '◐' } as const;

const LEGEND = `${SYMBOLS.allowed} allowed  ${SYMBOLS.blocked} blocked  from the left to above; ports are TCP unless said`;
const AUDIT = `${SYMBOLS.audit} allowed by audit mode alone: would be blocked`;
const MIXED = `${SYMBOLS.mixed} allowed on the same node only`;

/**
 * Returns the matrix as a table of lines, sources down and targets across, by namespace, pods that no policy tells apart in one row. It is cut
 * into as many tables as it takes to stay within `width` columns where names allow.
 */
export function matrixText(matrix: Matrix, { width }: { readonly width: number }): string {
  const groups = matrix.groups();
  const columns = groups.filter(({ ports }) => ports.length > 0);
  const labels = groups.map(({ pods }) => groupLabel(pods));
  const labelWidth = Math.max(0, ...labels.map(({ length }) => length)) + 2;
  const tables = blocksOf(columns, width - labelWidth - 1).map((block) =>
    tableLines(matrix, { groups, block, labelWidth }),
  );
  const body = tables.map((lines) => lines.join('\n')).join('\n\n');
  const more = [...(body.includes(SYMBOLS.audit) ? [AUDIT] : []), ...(body.includes(SYMBOLS.mixed) ? [MIXED] : [])];
  return `${body}\n\n${[LEGEND, ...more].join('\n')}\n`;
}

/** A target with the widths of its ports' columns, which together have room for its name. */
interface Column {
  readonly group: PodGroup;
  readonly label: string;
  readonly widths: readonly number[];
}

function blocksOf(groups: readonly PodGroup[], room: number): readonly (readonly Column[])[] {
  const blocks: Column[][] = [];
  let left = 0;
  const namespaces = Map.groupBy(groups, ({ namespace }) => namespace);
  for (const column of groups.map((group) => columnOf(group, namespaces.get(group.namespace)?.length === 1))) {
    const width = sum(column.widths);
    if (blocks.length === 0 || width > left) {
      blocks.push([]);
      left = room;
    }
    blocks.at(-1)?.push(column);
    left -= width;
  }
  return blocks;
}

function columnOf(group: PodGroup, isAlone: boolean): Column {
  const label = groupLabel(group.pods);
  const widths = group.ports.map((port) => portLabel(port).length + 1);
  // A namespace with one group has no room but that above it.
  const needed = Math.max(label.length + 2, isAlone ? printable(group.namespace).length + 2 : 0);
  const missing = Math.max(0, needed - sum(widths));
  return {
    group,
    label,
    widths: widths.map((width, index) => (index === widths.length - 1 ? width + missing : width)),
  };
}

function portLabel({ port, protocol }: AskedPort): string {
  return protocol === 'TCP' ? `${port}` : `${port}/${protocol}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

interface Table {
  readonly groups: readonly PodGroup[];
  readonly block: readonly Column[];
  readonly labelWidth: number;
}

function tableLines(matrix: Matrix, { groups, block, labelWidth }: Table): readonly string[] {
  const indent = ' '.repeat(labelWidth + 1);
  const head = [
    indent + namespacesText(block),
    indent + block.map(({ label, widths }) => label.padEnd(sum(widths))).join(''),
    indent +
      block
        .flatMap(({ group, widths }) => group.ports.map((port, index) => portLabel(port).padEnd(widths[index] ?? 0)))
        .join(''),
  ];
  const rows = groups.flatMap((from, index) => {
    const cells = block.flatMap(({ group, widths }) =>
      group.ports.map((port, at) => SYMBOLS[groupAnswer(matrix, { from, to: group, port })].padEnd(widths[at] ?? 0)),
    );
    const row = `  ${groupLabel(from.pods).padEnd(labelWidth - 2)} ${cells.join('')}`;
    return groups[index - 1]?.namespace === from.namespace ? [row] : [`${printable(from.namespace)}/`, row];
  });
  return [...head, ...rows].map((line) => line.trimEnd());
}

/** Returns the namespaces, each once, above the first of its pods; one that has no room there is cut. */
function namespacesText(block: readonly Column[]): string {
  const byNamespace = [...Map.groupBy(block, ({ group }) => group.namespace)];
  return byNamespace
    .map(([namespace, columns]) => {
      const width = sum(columns.flatMap(({ widths }) => widths));
      const text = `${printable(namespace)}/`;
      return (text.length < width ? text : `${text.slice(0, Math.max(0, width - 2))}…`).padEnd(width);
    })
    .join('');
}
