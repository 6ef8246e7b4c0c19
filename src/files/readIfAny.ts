import { readdirSync, readFileSync } from 'node:fs';

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
