import { Command, Option } from 'commander';
import type { Cluster } from '../kube/cluster.ts';
import type { ContainerPort } from '../kube/pod.ts';
import { portText } from '../kube/portText.ts';
import { snapshotJson } from '../page/pageData.ts';
import { pageDocument } from '../page/pageDocument.ts';
import { applied } from '../policy/applied.ts';
import { matrix, type Cell, type Matrix, type MatrixOptions } from '../policy/matrix.ts';
import { matrixChanges } from '../policy/matrixChanges.ts';
import { changesText } from './changesText.ts';
import { differences, differenceText, readExpectedCells } from './expectedCells.ts';
import { flushed } from './flushed.ts';
import type { CommandIo } from './io.ts';
import { matrixText } from './matrixText.ts';
import {
  answering,
  NoAnswerError,
  placesOf,
  readFiles,
  readObjects,
  withSource,
  type KnownObjects,
  type SourceFlags,
} from './objects.ts';
import { pageAsset } from './pageAsset.ts';
import { parsePort, parsePorts } from './parsePort.ts';
import { sourceText } from './sourceChoice.ts';

interface MatrixFlags extends SourceFlags {
  readonly namespace: readonly string[];
  readonly port: ContainerPort | undefined;
  readonly ports: readonly ContainerPort[];
  readonly diff: string | undefined;
  readonly assert: string | undefined;
  readonly output: 'text' | 'json' | 'html';
}

/** `matrix`: who reaches whom on which port; what a change would open and close; whether expected cells are as expected, exit 1 if not. */
export function matrixCommand(io: CommandIo): Command {
  return withSource(new Command('matrix'))
    .description('show who reaches whom on which port, or what a change of manifests would open and close')
    .addOption(
      new Option('--namespace <name>', 'only pods of this namespace; may be given again')
        .argParser((name: string, names: readonly string[]) => [...names, name])
        .default([], 'all'),
    )
    .addOption(new Option('--port <port>', 'only this port, e.g. 80/TCP').argParser(parsePort))
    .addOption(
      new Option('--ports <ports>', 'at every pod, beside its container ports: e.g. 80/TCP,81/UDP')
        .argParser(parsePorts)
        .default([], 'none'),
    )
    .option('--diff <path>', 'what would change if this manifest, or this directory of them, were applied')
    .option('--assert <file>', 'cells that are expected, as --output json prints them; exit 1 if any is otherwise')
    .addOption(
      new Option('--output <format>', 'how to answer; html is a page for a browser, in one file')
        .choices(['text', 'json', 'html'])
        .default('text'),
    )
    .addHelpText('after', HELP)
    .action(async (flags: MatrixFlags) => answering(io, () => answer(flags, io)));
}

const HELP = `
Every pair of pods, at every container port of the second. Pods that no policy tells apart share a row. With --diff and --assert together, the
cells are expected of what would be.

Examples:
  kube-nwplcy matrix --source dir:manifests --namespace shop
  kube-nwplcy matrix --source kube --kubeconfig ~/.kube/config --diff new-policy.yaml
  kube-nwplcy matrix --source dir:manifests --assert expected.yaml

Exit codes: 0; 1 not as --assert expects; 2 no answer (a manifest that cannot be used) or bad usage.`;

async function answer(flags: MatrixFlags, io: CommandIo): Promise<0 | 1> {
  if (flags.assert !== undefined && flags.output === 'html')
    throw new NoAnswerError('Cannot show as a page what --assert finds: use --output text or json');
  const known = await readObjects(flags, io);
  const after = flags.diff === undefined ? undefined : await withFiles(known, flags.diff);
  const { cluster } = known;
  if (flags.assert !== undefined) return assertCells(after?.cluster ?? cluster, { ...flags, assert: flags.assert, io });
  const options: MatrixOptions = { ports: flags.ports, only: flags.port, namespaces: flags.namespace };
  if (flags.output === 'html') await writePage(known, { after, options, flags, io });
  else if (after === undefined) await showMatrix(cluster, { options, flags, io });
  else showChanges({ before: cluster, after: after.cluster }, { options, flags, io });
  return 0;
}

async function withFiles({ cluster, places }: KnownObjects, path: string): Promise<KnownObjects> {
  const files = await readFiles(path);
  const objects = files.flatMap((file) => file.objects.map(({ object }) => object));
  return { cluster: applied(cluster, objects), places: new Map([...places, ...placesOf(files)]) };
}

async function writePage(
  { cluster, places }: KnownObjects,
  { after, options, flags, io }: Showing & { readonly after: KnownObjects | undefined },
): Promise<void> {
  refuseNothing(matrix(after?.cluster ?? cluster, options), flags);
  const data = snapshotJson({
    source: sourceText(flags.source),
    options,
    before: cluster,
    places,
    after: after && { ...after, source: flags.diff ?? '' },
  });
  io.stdout(pageDocument(await pageAsset(), data, { connect: false }));
}

async function assertCells(
  cluster: Cluster,
  { assert, output, io }: Pick<MatrixFlags, 'output'> & { readonly assert: string; readonly io: CommandIo },
): Promise<0 | 1> {
  const expected = await readExpectedCells(assert);
  const wrong = differences(expected, cluster);
  if (output === 'json') io.stdout(`${JSON.stringify({ expected: expected.length, differences: wrong })}\n`);
  else {
    for (const difference of wrong) io.stdout(`${differenceText(difference)}\n`);
    io.stdout(`${wrong.length} of ${expected.length} cells are not as expected\n`);
  }
  return wrong.length === 0 ? 0 : 1;
}

interface Showing {
  readonly options: MatrixOptions;
  readonly flags: MatrixFlags;
  readonly io: CommandIo;
}

async function showMatrix(cluster: Cluster, { options, flags, io }: Showing): Promise<void> {
  const made = matrix(cluster, options);
  if (flags.output === 'json') return writeCells(made.cells(), io);
  refuseNothing(made, flags);
  io.stdout(matrixText(made, { width: widthOf(io) }));
}

/** Throws a NoAnswerError that says what to ask for, where a table would have no cells. */
function refuseNothing(made: Matrix, flags: MatrixFlags): void {
  if (made.pods.every((pod) => made.portsOf(pod).length === 0))
    throw new NoAnswerError(nothingText(made.pods.length, flags));
}

function nothingText(pods: number, { port, namespace }: MatrixFlags): string {
  if (pods === 0) return `There are no pods${namespace.length === 0 ? '' : ' in these namespaces'}`;
  const which = port === undefined ? 'a port' : portText(port);
  return `No container declares ${which}: say with --ports which to ask for, e.g. --ports ${port === undefined ? '80/TCP,53/UDP' : portText(port)}`;
}

function widthOf({ env }: CommandIo): number {
  const columns = Number(env['COLUMNS'] ?? process.stdout.columns);
  return Number.isInteger(columns) && columns > 0 ? columns : 80;
}

// Millions of cells are too long for one string, and too many to wait in memory for a slow reader.
const CELLS_AT_ONCE = 1000;

async function writeCells(cells: Iterable<Cell>, io: CommandIo): Promise<void> {
  io.stdout('{"cells": [');
  let separator = '\n';
  for (const some of portions(cells)) {
    io.stdout(separator + some.map((cell) => JSON.stringify(cell)).join(',\n'));
    separator = ',\n';
    await flushed(process.stdout);
  }
  io.stdout('\n]}\n');
}

function* portions<Item>(items: Iterable<Item>): Generator<readonly Item[]> {
  let portion: Item[] = [];
  for (const item of items) {
    portion.push(item);
    if (portion.length < CELLS_AT_ONCE) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}

function showChanges(
  { before, after }: { readonly before: Cluster; readonly after: Cluster },
  { options, flags, io }: Showing,
): void {
  const changes = [...matrixChanges(matrix(before, options), matrix(after, options))];
  if (flags.output === 'text') {
    io.stdout(changesText(changes));
    return;
  }
  const cellsOf = (wanted: string) => changes.filter(({ change }) => change === wanted).map(({ cell }) => cell);
  io.stdout(
    `${JSON.stringify({ opens: cellsOf('opens'), closes: cellsOf('closes'), new: cellsOf('new'), gone: cellsOf('gone') })}\n`,
  );
}
