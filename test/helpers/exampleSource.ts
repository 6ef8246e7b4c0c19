import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll } from 'vitest';
import { loadExamples } from './examples.ts';
import type { Manifest } from './manifests.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'nwplcy-manifests-'));
afterAll(() => rmSync(ROOT, { recursive: true }));

/** Writes manifests into a directory of their own, which goes with the test file, and returns its path. */
export function directoryOf(manifests: readonly Manifest[]): string {
  const directory = mkdtempSync(join(ROOT, 'd-'));
  writeFileSync(join(directory, 'objects.json'), JSON.stringify({ kind: 'List', apiVersion: 'v1', items: manifests }));
  return directory;
}

/** Puts an example with its cluster into a directory of its own and returns the path. */
export function exampleDirectory(name: string): string {
  const example = loadExamples().find((candidate) => candidate.name === name);
  if (example === undefined) throw new Error(`There is no example "${name}"`);
  const directory = directoryOf(example.cluster);
  copyFileSync(example.file, join(directory, basename(example.file)));
  return directory;
}
