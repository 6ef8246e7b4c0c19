import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { arch as hostArch } from 'node:process';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';
import { checkForeignExecutable, checkHostExecutable } from './checkExecutable.ts';
import { isArch, strippedNode } from './nodeBinary.ts';
import { pack } from './pack.ts';

// node scripts/build.ts [--arch x64|arm64]: bundles src and packs it with Node into dist/kube-nwplcy (dist/kube-nwplcy-ARCH for another machine).

const { arch = hostArch } = parseArgs({ options: { arch: { type: 'string' } } }).values;
if (!isArch(arch)) throw new Error(`Cannot build for "${arch}": --arch is x64 or arm64`);
const isHost = arch === hostArch;
const name = isHost ? 'kube-nwplcy' : `kube-nwplcy-${arch}`;

await mkdir('.cache', { recursive: true });
const workDir = await mkdtemp('.cache/build-');
try {
  const bundles = await bundle(workDir);
  const executable = join(workDir, name);
  await pack(bundles, { arch, node: await strippedNode(arch), executable });
  await (isHost ? checkHostExecutable(executable) : checkForeignExecutable(executable, arch));
  await mkdir('dist', { recursive: true });
  // What is in dist always starts: a failed build leaves the last good one, and nobody sees half a file.
  await rename(executable, join('dist', name));
} finally {
  await rm(workDir, { recursive: true });
}
