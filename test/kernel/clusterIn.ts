import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../src/kube/cluster.ts';
import { clusterOf, type Manifest } from '../helpers/manifests.ts';
import type { Lab } from '../lab/lab.ts';

/** Returns what a lab's manifests say now, for `evaluate`. All of them must have been put in place as objects. */
export function clusterIn({ manifests: { directory } }: Lab): Cluster {
  const files = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
  return clusterOf(files.map((text) => JSON.parse(text) as Manifest));
}
