import { renameSync, rmSync, writeFileSync } from 'node:fs';

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
