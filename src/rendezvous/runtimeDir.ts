import { existsSync, mkdirSync } from 'node:fs';

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
