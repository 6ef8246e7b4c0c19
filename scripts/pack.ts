import childProcess from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { arch as hostArch } from 'node:process';
import { promisify } from 'node:util';
import { execa } from 'execa';
import type { Bundles } from './bundle.ts';
import type { Arch } from './nodeBinary.ts';

// Strings hashed with the snapshot's own seed: a quarter of the plugin's start. src/main.ts says who must not live with that.
const NODE_FLAGS = ['--no-rehash-snapshot'];

/** Packs the bundles with a Node binary into one executable, by pkg's `--sea` way: one file, no virtual file system. */
export async function pack(
  bundles: Bundles,
  { arch, node, executable }: { readonly arch: Arch; readonly node: string; readonly executable: string },
): Promise<void> {
  makeBlobsUnderNodeFlags();
  const { default: sea } = await import('@yao-pkg/pkg/lib-es5/sea.js');
  const isHost = arch === hostArch; // a code cache holds for one kind of processor
  const seaConfig = {
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: isHost,
    execArgv: NODE_FLAGS,
    execArgvExtension: 'cli', // NODE_OPTIONS of a container runtime is not meant for us; src/main.ts adds a flag by --node-options
    assets: { ...(await assetsOf(bundles.loaded, { node, isHost })), page: resolve(bundles.page) },
  };
  await sea.default(bundles.main, {
    targets: [{ platform: 'linux', arch, nodeRange: 'node26', output: resolve(executable) }],
    nodePath: resolve(node),
    // Tells pkg not to ask a binary of another machine for its version; nodePath is what is packed all the same.
    useLocalNode: !isHost,
    seaConfig,
  });
}

/** Returns the files that the executable holds by name: each bundle that it loads, as src/packed.ts does, and its code cache. */
async function assetsOf(
  loaded: Bundles['loaded'],
  { node, isHost }: { readonly node: string; readonly isHost: boolean },
): Promise<Readonly<Record<string, string>>> {
  const assets: Record<string, string> = {};
  for (const [name, file] of Object.entries(loaded)) {
    const codeCache = `${file}.cache`;
    if (isHost) await execa(node, [...NODE_FLAGS, 'scripts/codeCache.ts', file, codeCache]);
    else await writeFile(codeCache, ''); // V8 rejects it, and compiles
    assets[name] = resolve(file);
    assets[`${name}CodeCache`] = resolve(codeCache);
  }
  return assets;
}

// V8 takes a code cache only under the flags it was made with. pkg starts the Node that makes it without any, by a promisified execFile.
function makeBlobsUnderNodeFlags(): void {
  const execFile = promisify(childProcess.execFile);
  const withFlags = async (file: string, args: readonly string[]) => await execFile(file, [...NODE_FLAGS, ...args]);
  childProcess.execFile = Object.assign(childProcess.execFile.bind(childProcess), {
    [promisify.custom]: withFlags,
    __promisify__: withFlags,
  });
}
