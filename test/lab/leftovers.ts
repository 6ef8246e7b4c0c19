import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeCgroups } from './cgroups.ts';

/** Every lab has a directory here, named by its owner: nothing a lab makes is anywhere else but in its own namespaces. */
const LABS = '/run/kube-nwplcy-lab';

/** In the environment of every process that a lab starts: the lab's id. What carries it dies with the lab. */
export const LAB_VARIABLE = 'KUBE_NWPLCY_LAB';

export interface Claim {
  readonly id: string;
  readonly directory: string;
}

/**
 * Returns a new lab's id and directory, after having removed what dead owners left behind. The lab is removed when this process
 * ends, by a signal, an error or of itself; after a SIGKILL by the next call of this function, in whatever process.
 */
export function claimLab(): Claim {
  removeLeftovers();
  const owner = `${process.pid}.${startTimeOf(process.pid)}`;
  for (let number = 1; ; number++) {
    const id = `${owner}.${number}`;
    const directory = join(LABS, id);
    // Undefined if the directory was there.
    if (mkdirSync(directory, { recursive: true, mode: 0o700 }) === undefined) continue;
    removeAtExit(id);
    return { id, directory };
  }
}

/** Lets the lab outlive its owner, until `removeKeptLabs`. */
export function keepLab(id: string): void {
  writeFileSync(join(LABS, id, 'kept'), '');
  claimed.delete(id);
}

/** Removes the labs that `keepLab` kept and returns their ids. */
export function removeKeptLabs(): readonly string[] {
  const kept = labs().filter(isKept);
  kept.forEach(removeLab);
  return kept;
}

/** Ends every process of the lab and with them its namespaces, and removes its control groups and its directory. Returns when all is gone. */
export function removeLab(id: string): void {
  for (let pids = processesOf(id); pids.length > 0; pids = processesOf(id)) {
    pids.forEach(kill);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  claimed.delete(id);
  removeCgroups(id);
  rmSync(join(LABS, id), { recursive: true, force: true });
  removeIfEmpty(LABS);
}

function removeLeftovers(): void {
  labs()
    .filter((id) => !isKept(id) && !isOwnerAlive(id))
    .forEach(removeLab);
}

function labs(): readonly string[] {
  return existsSync(LABS) ? readdirSync(LABS) : [];
}

function isKept(id: string): boolean {
  return existsSync(join(LABS, id, 'kept'));
}

// A process id comes back one day; together with its start time it does not.
function isOwnerAlive(id: string): boolean {
  const [pid, startTime] = id.split('.');
  return startTimeOf(Number(pid)) === startTime;
}

function startTimeOf(pid: number): string | undefined {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  // proc(5): the second field is the name in parentheses and may hold anything; starttime is the 22nd.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3];
}

function processesOf(id: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readOrNothing(`/proc/${pid}/environ`).split('\0').includes(`${LAB_VARIABLE}=${id}`))
    .map(Number);
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process ended meanwhile
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // another lab is there
  }
}

const claimed = new Set<string>();
let watchesExit = false;

function removeAtExit(id: string): void {
  claimed.add(id);
  if (watchesExit) return;
  watchesExit = true;
  process.on('exit', removeClaimed);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, removeAndDie);
}

// A second Ctrl-C while this is under way must not kill: the handler stays until all is removed.
function removeAndDie(signal: NodeJS.Signals): void {
  removeClaimed();
  process.off(signal, removeAndDie);
  process.kill(process.pid, signal);
}

function removeClaimed(): void {
  claimed.forEach(removeLab);
}
