import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Cluster } from '../../src/kube/cluster.ts';
import { clusterOf, type Manifest } from '../../test/helpers/manifests.ts';
import { disagreements, isOpen, matrix, type Cell, type Party } from '../../test/lab/matrix.ts';
import { PORTS, type DemoCluster } from './cluster.ts';
import type { Mark, Reachability } from './matrixText.ts';

export interface MeasuredReachability {
  readonly reachability: Reachability;
  /** How many flows were tried. */
  readonly flows: number;
  /** A line for each flow that the kernel judged otherwise than `evaluate`. */
  readonly differences: readonly string[];
}

/** Tries with real packets who reaches whom, and compares each flow with what `evaluate` says of the manifests. */
export async function measureReachability({ lab, pods, hosts }: DemoCluster): Promise<MeasuredReachability> {
  const rows = [...pods, ...hosts];
  const byPort = await Promise.all(
    PORTS.map(({ protocol, port }) => matrix({ from: rows, to: pods }, { ports: [port], protocols: [protocol] })),
  );
  const wanted = clusterIn(lab.manifests.directory);
  const markOf = (from: Party, to: Party) =>
    byPort.map((cells) =>
      mark(
        cells.filter((cell) => cell.from === from && cell.to === to),
        wanted,
      ),
    );
  return {
    reachability: {
      rows: rows.map(({ key }) => key),
      columns: pods.map(({ key }) => key),
      cells: rows.map((from) => pods.map((to) => markOf(from, to))),
    },
    flows: byPort.flat().length,
    differences: disagreements(byPort.flat(), wanted),
  };
}

/** Returns the mark of one pair and port, of which there is a cell for each family; no policy of the demo tells these apart. */
function mark(cells: readonly Cell[], wanted: Cluster): Mark {
  if (disagreements(cells, wanted).length > 0) return 'wrong';
  return cells.every(isOpen) ? 'open' : 'closed';
}

/** Returns what the manifests of a directory say. */
function clusterIn(directory: string): Cluster {
  const texts = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
  return clusterOf(texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest)));
}
