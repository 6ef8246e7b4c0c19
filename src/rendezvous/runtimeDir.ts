import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Where the files are that plugin and agent meet in. It should be on a tmpfs: what it tells dies with the kernel's rules at a reboot. */
export const DEFAULT_RUNTIME_DIR = '/run/kube-nwplcy';

const SUBDIRECTORIES = ['attachments', 'hooked', 'acknowledged', 'expected'];

/** Makes the runtime directory and what is in it, for root only. Throws the file system's error. */
export function makeRuntimeDir(runtimeDir: string): void {
  if (!existsSync(runtimeDir)) mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
  for (const name of SUBDIRECTORIES) makeDirectory(`${runtimeDir}/${name}`);
}

// Not by `recursive`, which says of a read-only file system that there is no such directory.
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/** Writes a file, readable by root only, so that no reader ever sees half of it. Throws the file system's error. */
export function writeFileWhole(path: string, text: string): void {
  // The process id keeps two writers apart. The dot keeps what a crash leaves out of every listing of ours.
  const slash = path.lastIndexOf('/');
  const aside = `${path.slice(0, slash)}/.${process.pid}${path.slice(slash + 1).slice(-200)}`;
  try {
    writeFileSync(aside, text, { mode: 0o600 });
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

/** Returns a file's text, or `undefined` when there is no such file. Throws any other error of the file system. */
export function readFileIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Returns what a file holds as JSON, or `undefined` when there is no such file or no JSON in it. Throws any other error of the file system. */
export function readJsonIfAny(path: string): unknown {
  const text = readFileIfAny(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the names in a directory, none when there is no such directory. What a writer has put aside is left out. Throws any other error. */
export function listNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Tells whether a file system call failed because the file is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
