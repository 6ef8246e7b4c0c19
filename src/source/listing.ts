import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { signatureOf } from './manifestFile.ts';

export interface ListedFile {
  readonly path: string;
  readonly signature: string;
}

/** The manifests below a directory. */
export interface Listing {
  /** In the order of their paths. */
  readonly files: readonly ListedFile[];
  /** Every folder read, by path, with its identity: another folder may take its name. */
  readonly folders: ReadonlyMap<string, string>;
  /** Why a file, or a folder with all that is below it, is not known. */
  readonly unread: ReadonlyMap<string, string>;
}

// A link to "/" would have the whole machine read and watched.
const MOST_FOLDERS = 1000;

interface Walk {
  readonly files: ListedFile[];
  readonly folders: Map<string, string>;
  readonly unread: Map<string, string>;
  readonly seen: Set<string>;
}

/**
 * Lists `*.yaml`, `*.yml` and `*.json` below `root`, links followed, hidden names passed over: a mounted ConfigMap has its
 * files as links through a hidden `..data`, which is swapped as a whole. What two names lead to is listed once.
 * @throws Error when `root` itself cannot be listed.
 */
export async function listManifests(root: string): Promise<Listing> {
  const stats = await stat(root, { bigint: true });
  const walk: Walk = { files: [], folders: new Map(), unread: new Map(), seen: new Set([identityOf(stats)]) };
  await listFolder(walk, root, stats);
  return { ...walk, files: walk.files.toSorted((a, b) => comparePaths(a.path, b.path)) };
}

async function listFolder(walk: Walk, path: string, stats: BigIntStats): Promise<void> {
  const entries = (await readdir(path, { withFileTypes: true })).filter(isOfInterest);
  walk.folders.set(path, identityOf(stats));
  const found = await Promise.all(entries.map(async (entry) => await lookAt(join(path, entry.name), entry)));
  for (const entry of found.toSorted((a, b) => comparePaths(a.path, b.path))) await listEntry(walk, entry);
}

function isOfInterest(entry: Dirent): boolean {
  if (entry.name.startsWith('.')) return false;
  return entry.isDirectory() || entry.isSymbolicLink() || isManifestName(entry.name);
}

function isManifestName(name: string): boolean {
  return /\.(?:yaml|yml|json)$/.test(name);
}

/** Orders paths by their code units, whatever the locale. */
function comparePaths(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

interface Entry {
  readonly path: string;
  readonly isLink: boolean;
  readonly stats: BigIntStats | NodeJS.ErrnoException;
}

async function lookAt(path: string, entry: Dirent): Promise<Entry> {
  const isLink = entry.isSymbolicLink();
  try {
    return { path, isLink, stats: await stat(path, { bigint: true }) };
  } catch (error) {
    return { path, isLink, stats: systemError(error) };
  }
}

async function listEntry(walk: Walk, { path, isLink, stats }: Entry): Promise<void> {
  if (stats instanceof Error) {
    // A file that was removed since its folder was read is gone; a link that leads nowhere is still meant to be there.
    if (stats.code !== 'ENOENT' || isLink) walk.unread.set(path, stats.message);
  } else if (!walk.seen.has(identityOf(stats))) {
    walk.seen.add(identityOf(stats));
    if (stats.isDirectory()) await listSubfolder(walk, path, stats);
    else if (isManifestName(path)) listFile(walk, path, stats);
  }
}

function listFile(walk: Walk, path: string, stats: BigIntStats): void {
  if (stats.isFile()) walk.files.push({ path, signature: signatureOf(stats) });
  else walk.unread.set(path, 'not a regular file');
}

async function listSubfolder(walk: Walk, path: string, stats: BigIntStats): Promise<void> {
  if (walk.folders.size >= MOST_FOLDERS) {
    walk.unread.set(path, `there are more than ${MOST_FOLDERS} folders`);
    return;
  }
  try {
    await listFolder(walk, path, stats);
  } catch (error) {
    const { code, message } = systemError(error);
    if (code !== 'ENOENT') walk.unread.set(path, message);
  }
}

function identityOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.birthtimeNs].join(':');
}

function systemError(error: unknown): NodeJS.ErrnoException {
  return error instanceof Error ? error : new Error(String(error));
}
