import { stat } from 'node:fs/promises';
import type { FileObjects } from './assemble.ts';
import { listManifests } from './listing.ts';
import { readManifest } from './manifest.ts';
import { readManifestFile } from './manifestFile.ts';
import type { SourceProblem } from './source.ts';

/** What a file or a directory of manifests holds now. */
export interface ReadManifests {
  readonly files: readonly FileObjects[];
  /** A file with a problem is not in `files`. */
  readonly problems: readonly SourceProblem[];
}

/**
 * Reads a manifest, or all that are in a directory as the directory source finds them, once and without its memory of what was good before.
 * Throws the file system's error when there is nothing at the path.
 */
export async function readManifests(path: string): Promise<ReadManifests> {
  const stats = await stat(path);
  if (!stats.isDirectory()) return readAll([path]);
  const { files, unread } = await listManifests(path);
  const read = await readAll(files.map((file) => file.path));
  const unreadable = Array.from(unread, ([where, reason]) => problem(where, `Cannot read: ${reason}`));
  return { files: read.files, problems: [...unreadable, ...read.problems] };
}

async function readAll(paths: readonly string[]): Promise<ReadManifests> {
  const files: FileObjects[] = [];
  const problems: SourceProblem[] = [];
  for (const path of paths) {
    try {
      const manifest = await readManifest((await readManifestFile(path)).text);
      if (manifest.kind === 'valid') files.push({ path, objects: manifest.objects });
      else problems.push(...manifest.problems.map(({ line, message }) => ({ where: path, line, message })));
    } catch (error) {
      problems.push(problem(path, `Cannot read: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
  return { files, problems };
}

function problem(where: string, message: string): SourceProblem {
  return { where, line: undefined, message };
}
