import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';

const LARGEST_FILE = 64 * 1024 * 1024;

// The kernel stamps files by a clock that ticks every 4 ms: a file can change once more within one tick.
const TICK_MS = 50;

export interface ManifestText {
  readonly text: string;
  /** See `signatureOf`; undefined when the file is so fresh that it could change without its signature changing. */
  readonly signature: string | undefined;
}

/** Returns what changes whenever a file is written or replaced. */
export function signatureOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

/**
 * Reads a file, which must be a regular one of at most 64 MiB in UTF-8.
 * @throws Error that says why it cannot be used.
 */
export async function readManifestFile(path: string): Promise<ManifestText> {
  // Without O_NONBLOCK, opening a fifo waits for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) throw new Error('not a regular file');
    if (stats.size > LARGEST_FILE) throw new Error(`has ${stats.size} bytes, and ${LARGEST_FILE} is the limit`);
    const bytes = await file.readFile();
    const isFresh = Date.now() - Number(stats.ctimeMs) < TICK_MS;
    return { text: decodeUtf8(bytes), signature: isFresh ? undefined : signatureOf(stats) };
  } finally {
    await file.close();
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error('not UTF-8 text', { cause: error });
  }
}
