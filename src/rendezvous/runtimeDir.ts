import { existsSync, mkdirSync } from 'node:fs';

/** Where the files are that plugin and agent meet in. It should be on a tmpfs: what it tells dies with the kernel's rules at a reboot. */
export const DEFAULT_RUNTIME_DIR = '/run/kube-nwplcy';

const SUBDIRECTORIES = ['attachments', 'hooked', 'acknowledged', 'expected'];

/** Makes the runtime directory and what is in it, for root only. Throws the file system's error. */
export function makeRuntimeDir(runtimeDir: string): void {
  makeDirectories(runtimeDir);
  for (const name of SUBDIRECTORIES) makeDirectory(`${runtimeDir}/${name}`);
}

function makeDirectories(path: string): void {
  if (path === '' || existsSync(path)) return;
  makeDirectories(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  makeDirectory(path);
}

// Not by `recursive`, which says of a read-only file system that there is no such directory, and below /proc never comes back.
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
