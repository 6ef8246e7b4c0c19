import { Buffer } from 'node:buffer';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { pid } from 'node:process';
import { isMissing } from '../files/readIfAny.ts';
import { ConflistError } from './conflist.ts';

/** A file as it was read: its text, and whose it is. */
export interface ConfFile {
  readonly text: string;
  readonly owner: Pick<Stats, 'uid' | 'gid' | 'mode'>;
}

// containerd reads no larger one (go-cni, `MaxFileSize`).
const MOST_BYTES = 2 * 1024 * 1024;

const ASIDE = '.kube-nwplcy-aside-';

/**
 * Returns the names of the network configurations in a directory in the order in which runtimes look at them (libcni's `ConfFiles`, sorted by bytes;
 * containerd and CRI-O take the first), none when there is no such directory. Throws the file system's error, and a ConflistError for a name that
 * is no text.
 */
export function confNames(directory: string): readonly string[] {
  return listBytes(directory)
    .filter((entry) => !entry.isDirectory() && /\.(conf|conflist|json)$/.test(entry.name.toString('latin1')))
    .map(({ name }) => name)
    .sort((a, b) => Buffer.compare(a, b))
    .map(decodeName);
}

/** Returns the names in a directory that end in this way. */
export function namesEnding(directory: string, suffix: string): readonly string[] {
  return listBytes(directory)
    .map(({ name }) => name.toString('utf8'))
    .filter((name) => name.endsWith(suffix))
    .toSorted();
}

/** Returns the names of files that were put aside in a directory by a run that did not end well. */
export function asideNames(directory: string): readonly string[] {
  return listBytes(directory)
    .map(({ name }) => name.toString('utf8'))
    .filter((name) => name.includes(ASIDE));
}

/** Returns a file's content. Throws a ConflistError for what is no plain file, too large, or not UTF-8, and the file system's error. */
export function readConfFile(path: string): ConfFile {
  // A FIFO would be waited for, and a link may lead to what nobody meant.
  const fd = openFile(path);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new ConflistError('Cannot read it: it is no plain file');
    if (stats.size > MOST_BYTES) throw new ConflistError(`Cannot read it: it is larger than ${MOST_BYTES} bytes`);
    const bytes = readUpTo(fd, MOST_BYTES + 1);
    return { text: decodeText(bytes), owner: stats };
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes a file whole: aside in the same directory, then renamed. containerd notices only that, and no runtime ever reads half of it; the name
 * aside is one that they do not take. Throws the file system's error.
 */
export function writeConfFile(path: string, { text, owner }: ConfFile): void {
  writeAside(path, (fd) => {
    writeFileSync(fd, text);
    fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, owner.mode & 0o777);
  });
}

/** Lets `fill` write a file aside, and puts it in place when it is on the disk. */
export function writeAside(path: string, fill: (fd: number) => void): void {
  const aside = `${path}${ASIDE}${pid}`;
  try {
    rmSync(aside, { force: true });
    const fd = openSync(aside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      fill(fd);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

/** Tells whether something has this path, be it a link that leads nowhere. */
export function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ELOOP') throw new ConflistError('Cannot edit it: it is a symbolic link; put a file in its place');
    if (code === 'ENXIO') throw new ConflistError('Cannot read it: it is no plain file');
    throw error;
  }
}

function readUpTo(fd: number, most: number): Buffer {
  const bytes = Buffer.alloc(most);
  let length = 0;
  for (;;) {
    const read = readSync(fd, bytes, length, most - length, null);
    length += read;
    if (read === 0 || length === most) return bytes.subarray(0, length);
  }
}

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConflistError('Cannot read it: it is not UTF-8');
  }
}

function decodeName(bytes: Buffer): string {
  const name = bytes.toString('utf8');
  if (!Buffer.from(name).equals(bytes)) throw new ConflistError(`Cannot use a file name that is not UTF-8: "${name}"`);
  return name;
}

function listBytes(directory: string) {
  try {
    return readdirSync(directory, { encoding: 'buffer', withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
