import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isMissing } from '../files/readIfAny.ts';
import { makeRuntimeDir } from './runtimeDir.ts';

// A claim that fails was won by somebody else, so that all together get on; nobody loses that often.
const MOST_ATTEMPTS = 10_000;

/**
 * Returns a generation that nobody on this node has used before, plugin or agent. Throws the file system's error, or an Error when
 * what lies in the counter's place is no counter.
 *
 * The counter is a file's name, and a claim renames it from N to N+1. Of two writers that read N only one finds the file still there, and a
 * name that was once left never comes back: no lock, and nothing to mend after a crash.
 */
export function claimGeneration(runtimeDir: string): number {
  const directory = `${runtimeDir}/generation`;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const current = currentGeneration(runtimeDir);
    try {
      if (current === undefined) startCounter(runtimeDir);
      else {
        renameSync(`${directory}/${current}`, `${directory}/${current + 1}`);
        return current + 1;
      }
    } catch (error) {
      if (!isMissing(error) && !isTaken(error)) throw error;
    }
  }
  throw new Error(`Cannot claim a generation: "${directory}" holds no counter; remove it`);
}

/** Returns the newest generation that was claimed, or `undefined` before the first. */
export function currentGeneration(runtimeDir: string): number | undefined {
  try {
    const numbers = readdirSync(`${runtimeDir}/generation`)
      .filter((name) => /^[0-9]{1,15}$/.test(name))
      .map(Number);
    return numbers.length === 0 ? undefined : Math.max(...numbers);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Begins at the clock, because a counter that was lost while flows live must not hand out their values again. The directory comes into being with
 * the file in it: of several that begin at once one gets there, and nobody ever finds two files. A listing may miss a file that is being renamed;
 * then this fails, and the counter is as it was.
 */
function startCounter(runtimeDir: string): void {
  makeRuntimeDir(runtimeDir);
  const aside = mkdtempSync(`${runtimeDir}/.generation-`);
  try {
    writeFileSync(`${aside}/${Date.now()}`, '', { mode: 0o600 });
    renameSync(aside, `${runtimeDir}/generation`);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    throw error;
  }
}

/** Tells whether a directory could not be put in a place because there is a filled one. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}
