import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { env, stderr } from 'node:process';
import { execa } from 'execa';
import { BUILDS, buildFolder, MODULE } from './programs.ts';

const KUBERNETES = 'v1.36.3';
const isGiven = (env['KUBEBUILDER_ASSETS'] ?? '') !== '';
const PACKAGES = [...(isGiven ? [] : ['etcd-server']), 'containerd', 'runc', 'busybox-static'];

/** Builds and fetches the programs that the tests in test/cluster and test/runtime run, unless they are there. */
export async function setup(): Promise<void> {
  await execa(resolve(import.meta.dirname, '../../scripts/unpack.sh'), PACKAGES);
  const folder = buildFolder();
  if (!existsSync(folder) && (!isGiven || (await hasGo()))) await build(folder);
}

async function build(folder: string): Promise<void> {
  stderr.write(`Building the programs of Kubernetes ${KUBERNETES} for the tests: some 8 minutes for the first time\n`);
  const startedAt = Date.now();
  await mkdir(BUILDS, { recursive: true });
  const others = readdirSync(BUILDS);
  const aside = mkdtempSync(join(BUILDS, '.building-'));
  try {
    const flags = ['-trimpath', '-ldflags', `-s -w -X k8s.io/component-base/version.gitVersion=${KUBERNETES}`];
    await execa('go', ['build', ...flags, '-o', join(aside, 'kubernetes'), '.'], {
      cwd: MODULE,
      env: { CGO_ENABLED: '0' },
    });
    putInPlace(aside, folder);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  // A build is 120 MB.
  for (const name of others.filter((other) => !other.startsWith('.'))) rmSync(join(BUILDS, name), { recursive: true });
  stderr.write(`Built the programs of Kubernetes in ${Math.round((Date.now() - startedAt) / 1000)} s\n`);
}

function putInPlace(aside: string, folder: string): void {
  try {
    renameSync(aside, folder);
  } catch (error) {
    // Another run of the tests may have been faster.
    if (!existsSync(folder)) throw error;
  }
}

async function hasGo(): Promise<boolean> {
  return (await execa('go', ['version'], { reject: false })).exitCode === 0;
}
