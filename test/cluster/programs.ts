import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { env } from 'node:process';

const ROOT = resolve(import.meta.dirname, '../..');
/** The Go module of the programs. */
export const MODULE = join(import.meta.dirname, 'programs');
/** What was built of it, in a folder for each content that the module ever had. */
export const BUILDS = join(ROOT, '.cache/cluster');

/** Returns the folder of what is built of the module as it is now. */
export function buildFolder(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(MODULE).toSorted()) hash.update(`${name}\0`).update(readFileSync(join(MODULE, name)));
  return join(BUILDS, hash.digest('hex').slice(0, 16));
}

/** Returns the path of a program: one of the module's, kube-apiserver of `KUBEBUILDER_ASSETS` if that is set. */
export function program(name: string): string {
  const given = name === 'kube-apiserver' ? givenProgram(name) : undefined;
  if (given !== undefined) return given;
  const folder = buildFolder();
  const path = join(folder, name);
  try {
    symlinkSync('kubernetes', path);
  } catch (error) {
    if (!existsSync(path)) throw new Error(`Cannot find "${name}": nothing is built in ${folder}`, { cause: error });
  }
  return path;
}

/** Returns the path of etcd: Debian's, or that of `KUBEBUILDER_ASSETS` if that is set. */
export function etcd(): string {
  return givenProgram('etcd') ?? debianProgram('etcd-server', '/usr/bin/etcd');
}

/** Returns where `scripts/unpack.sh` has put a program of a Debian package. */
export function debianProgram(packageName: string, path: string): string {
  return join(ROOT, '.cache/debian', packageName, path);
}

/** Returns the path of a program in the directory that `KUBEBUILDER_ASSETS` names; `undefined` if that is not set. */
function givenProgram(name: string): string | undefined {
  const assets = env['KUBEBUILDER_ASSETS'];
  return assets === undefined || assets === '' ? undefined : join(assets, name);
}
