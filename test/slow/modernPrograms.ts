import { existsSync, mkdtempSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stderr } from 'node:process';
import { execa } from 'execa';
import { DEBIAN, type ContainerdPrograms } from '../runtime/containerd.ts';

// What Debian has only in older versions: a containerd that calls STATUS, and plugins that know version 1.1.0 of CNI. Go fetches and builds them.

const CACHE = resolve(import.meta.dirname, '../../.cache');
const CONTAINERD = join(CACHE, 'containerd@v2.4.2');
const PLUGINS = join(CACHE, 'cni-plugins@v1.9.0');

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  [CONTAINERD]: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map(
    (name) => `github.com/containerd/containerd/v2/cmd/${name}@v2.4.2`,
  ),
  [PLUGINS]: ['main/bridge', 'main/loopback', 'ipam/host-local'].map(
    (name) => `github.com/containernetworking/plugins/plugins/${name}@v1.9.0`,
  ),
};

/** The newer containerd, with Debian's runc. */
export const MODERN: ContainerdPrograms = {
  containerd: join(CONTAINERD, 'containerd'),
  directory: CONTAINERD,
  runc: DEBIAN.runc,
};

/** Where the newer plugins are. */
export const MODERN_PLUGINS = PLUGINS;

/** Builds them unless they are there. */
export async function setup(): Promise<void> {
  for (const [directory, packages] of Object.entries(PACKAGES))
    if (!existsSync(directory)) await install(directory, packages);
}

async function install(directory: string, packages: readonly string[]): Promise<void> {
  stderr.write(
    `Building ${packages.length} programs for test/slow, first ${packages[0]}: a few minutes for the first time\n`,
  );
  mkdirSync(CACHE, { recursive: true });
  const aside = mkdtempSync(join(CACHE, '.installing-'));
  try {
    await execa('go', ['install', ...packages], { env: { GOBIN: aside, CGO_ENABLED: '0' } });
    // Another run of the tests may have been faster.
    if (!existsSync(directory)) renameSync(aside, directory);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
