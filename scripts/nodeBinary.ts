import { createHash } from 'node:crypto';
import { access, mkdir, readFile, realpath, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { arch as hostArch, execPath, pid } from 'node:process';
import { execa } from 'execa';

const TRIPLES = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

export type Arch = keyof typeof TRIPLES;

export function isArch(name: string): name is Arch {
  return Object.hasOwn(TRIPLES, name);
}

/**
 * Returns the path of the pinned Node without its symbols (a quarter of the file), ready for a blob. They go before the blob is injected: strip
 * would not know what to do with that.
 */
export async function strippedNode(arch: Arch): Promise<string> {
  const cached = `.cache/node-${await pinnedVersion(arch)}-${arch}-stripped`;
  if (await exists(cached)) return cached;
  const node = arch === hostArch ? await ownNode(arch) : await fetchedNode(arch);
  const unfinished = `${cached}.${pid}`;
  await execa(`${TRIPLES[arch]}-strip`, ['-o', unfinished, node]);
  await rename(unfinished, cached);
  return cached;
}

// Node's blob format and code cache change between patch versions: what builds must be what is packed.
async function ownNode(arch: Arch): Promise<string> {
  const node = await realpath(`node_modules/node-linux-${arch}/bin/node`);
  if (node !== execPath) throw new Error(`Cannot build with ${execPath}: run "make build", which uses ${node}`);
  return node;
}

/** Returns the Node of another machine, fetched once from the npm registry and held against the lockfile. */
async function fetchedNode(arch: Arch): Promise<string> {
  const version = await pinnedVersion(arch);
  if (`v${version}` !== process.version)
    throw new Error(`Cannot pack Node ${version} with Node ${process.version}: pin one version`);
  const folder = `.cache/node-${version}-${arch}`;
  await mkdir(folder, { recursive: true });
  const packed = await execa('npm', [
    'pack',
    `node-linux-${arch}@${version}`,
    '--silent',
    '--pack-destination',
    folder,
  ]);
  const archive = join(folder, packed.stdout.trim());
  const digest = `sha512-${createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')}`;
  const { integrity } = await locked(arch);
  if (digest !== integrity)
    throw new Error(`Cannot use ${archive}: its digest is ${digest}, package-lock.json has ${integrity}`);
  await execa('tar', ['-xzf', archive, '-C', folder, 'package/bin/node']);
  return join(folder, 'package/bin/node');
}

async function pinnedVersion(arch: Arch): Promise<string> {
  return (await locked(arch)).version;
}

async function locked(arch: Arch): Promise<{ readonly version: string; readonly integrity: string }> {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
  };
  const entry = packages[`node_modules/node-linux-${arch}`];
  if (entry === undefined) throw new Error(`Cannot find "node-linux-${arch}" in package-lock.json`);
  return entry;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
