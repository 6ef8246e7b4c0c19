import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';
const PARENT = 'kube-nwplcy-lab';

/** Returns the control group, as a path in each hierarchy, below which a lab's container runtimes put theirs. */
export function cgroupOf(labId: string): string {
  return `/${PARENT}/${labId}`;
}

/** Removes what a lab's runtimes left of control groups. No process of the lab may be alive. */
export function removeCgroups(labId: string): void {
  for (const hierarchy of hierarchies()) {
    removeTree(join(hierarchy, cgroupOf(labId)));
    removeIfEmpty(join(hierarchy, PARENT));
  }
}

/** Version 2 has one at the mount point; version 1 has one for each controller, in directories of it. */
function hierarchies(): readonly string[] {
  if (!existsSync(MOUNT)) return [];
  const entries = readdirSync(MOUNT, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [MOUNT, ...entries.map(({ name }) => join(MOUNT, name))].filter((path) => existsSync(join(path, PARENT)));
}

function removeTree(group: string): void {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(group, entry.name));
  // A process that has ended is in its group until its parent knows.
  for (let looks = 0; !removeIfEmpty(group) && looks < 200; looks += 1)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

function removeIfEmpty(group: string): boolean {
  try {
    rmdirSync(group);
    return true;
  } catch {
    return !existsSync(group);
  }
}
