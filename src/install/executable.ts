import { Buffer } from 'node:buffer';
import { closeSync, fchmodSync, mkdirSync, openSync, readSync, rmSync, statSync, writeSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { ENTRY_CHAIN } from '../rules/names.ts';
import { isMissing } from '../files/readIfAny.ts';
import { writeAside } from './confDir.ts';
import type { Step } from './step.ts';

// Everybody may run it, and nobody gains by it: never set-uid.
const MODE = 0o755;
const CHUNK_BYTES = 1024 * 1024;

/** The executable where the runtime looks for plugins. */
export class InstalledExecutable {
  readonly #source: string;
  readonly #path: string;
  /** What told that the content was right, when it was last compared: it is too large for a look at each turn. */
  #seen: string | undefined;

  constructor(source: string, path: string) {
    this.#source = source;
    this.#path = path;
  }

  /** Puts the executable in place unless it is there, and returns what that took. Throws the file system's error. */
  ensure({ dryRun }: { readonly dryRun: boolean }): Step {
    const step = this.#plan();
    if (step.verb !== 'unchanged' && !dryRun) {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o755 });
      copy(this.#source, this.#path);
    }
    this.#seen = fingerprint(statIfAny(this.#path));
    return step;
  }

  #plan(): Step {
    const present = statIfAny(this.#path);
    if (present === undefined) return { path: this.#path, verb: 'copied', what: 'the executable' };
    const isRight =
      present.isFile() &&
      (present.mode & 0o7777) === MODE &&
      (fingerprint(present) === this.#seen || sameContent(this.#source, this.#path));
    return { path: this.#path, verb: isRight ? 'unchanged' : 'replaced', what: isRight ? '' : 'the executable' };
  }
}

/** Removes the executable and returns what was done, nothing when there is none. Throws the file system's error. */
export function removeExecutable(path: string, { dryRun }: { readonly dryRun: boolean }): readonly Step[] {
  const present = statIfAny(path);
  if (present === undefined) return [];
  if (!present.isFile() || !isProduct(path)) return [{ path, verb: 'kept', what: 'it is not this program' }];
  if (!dryRun) rmSync(path);
  return [{ path, verb: 'removed', what: 'the executable' }];
}

/** Tells whether a file is this program, in whatever version: an ELF file that knows our entry chain. It is not run to find out. */
function isProduct(path: string): boolean {
  const name = Buffer.from(ENTRY_CHAIN);
  let before = Buffer.alloc(0);
  let isFirst = true;
  for (const chunk of chunksOf(path)) {
    if (isFirst && chunk.toString('latin1', 0, 4) !== '\u007fELF') return false;
    isFirst = false;
    const joined = Buffer.concat([before, chunk]);
    if (joined.includes(name)) return true;
    before = joined.subarray(-name.length);
  }
  return false;
}

function copy(source: string, path: string): void {
  writeAside(path, (fd) => {
    for (const chunk of chunksOf(source)) {
      for (let written = 0; written < chunk.length; written += writeSync(fd, chunk, written));
    }
    fchmodSync(fd, MODE);
  });
}

function sameContent(source: string, path: string): boolean {
  if (statSync(source).size !== statSync(path).size) return false;
  const others = chunksOf(path);
  let isSame = true;
  for (const chunk of chunksOf(source)) {
    const { value } = others.next();
    isSame = value !== undefined && chunk.equals(value);
    if (!isSame) break;
  }
  others.return(undefined);
  return isSame;
}

/** Yields a file's content in whole chunks but for the last; each is good until the next. */
function* chunksOf(path: string): Generator<Buffer, undefined> {
  const fd = openSync(path, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const length = readSync(fd, chunk);
      if (length === 0) return undefined;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

function statIfAny(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function fingerprint(stats: Stats | undefined): string | undefined {
  return stats && [stats.dev, stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(' ');
}
