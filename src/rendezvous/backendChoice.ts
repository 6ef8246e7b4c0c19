import { readFileIfAny } from '../files/readIfAny.ts';
import { writeFileWhole } from '../files/writeWhole.ts';

/** Returns the name of the backend that was chosen on this node since its start, or `undefined`. */
export function readBackendChoice(runtimeDir: string): string | undefined {
  return readFileIfAny(`${runtimeDir}/backend`);
}

/** Remembers the choice: what is in the kernel must be found again where it was put, whatever others do later. Throws the file system's error. */
export function writeBackendChoice(runtimeDir: string, backend: string): void {
  writeFileWhole(`${runtimeDir}/backend`, backend);
}
