import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import packageJson from '../package.json' with { type: 'json' };
import type { Arch } from './nodeBinary.ts';

// e_machine of the ELF header, at byte 18.
const ELF_MACHINES: Readonly<Record<Arch, number>> = { x64: 0x3e, arm64: 0xb7 };
const MINIMUM_BYTES = 50_000_000;

/**
 * Starts the executable both ways.
 *
 * @throws {Error} It does not start, does not know its version, or writes to stderr (as Node does when it rejects the code cache).
 */
export async function checkHostExecutable(executable: string): Promise<void> {
  const commandLine = await execa(executable, ['--version'], { env: {}, extendEnv: false });
  const plugin = await execa(executable, {
    env: { CNI_COMMAND: 'VERSION' },
    extendEnv: false,
    input: '{"cniVersion":"1.1.0"}',
  });
  const { supportedVersions } = JSON.parse(plugin.stdout) as { readonly supportedVersions?: readonly string[] };
  const complaint = [
    commandLine.stdout.startsWith(`kube-nwplcy ${packageJson.version} (commit `)
      ? ''
      : `--version prints "${commandLine.stdout}"`,
    supportedVersions?.includes('1.0.0') === true ? '' : `CNI_COMMAND=VERSION prints "${plugin.stdout}"`,
    commandLine.stderr,
    plugin.stderr,
  ].join('');
  if (complaint !== '') throw new Error(`Cannot use the packed executable: ${complaint}`);
  process.stdout.write(`${commandLine.stdout}\n`);
}

/**
 * Looks at an executable that cannot be started here.
 *
 * @throws {Error} It is for another machine, or holds no blob.
 */
export async function checkForeignExecutable(executable: string, arch: Arch): Promise<void> {
  const bytes = await readFile(executable);
  if (bytes.length < MINIMUM_BYTES)
    throw new Error(`Cannot use the packed executable: it has only ${bytes.length} bytes`);
  const machine = bytes.readUInt16LE(18);
  if (machine !== ELF_MACHINES[arch])
    throw new Error(`Cannot use the packed executable: it is for ELF machine ${machine}, not for ${arch}`);
  // postject flips this fuse when it has injected the blob.
  if (!bytes.includes('NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1'))
    throw new Error('Cannot use the packed executable: it holds no blob');
  process.stdout.write(
    `Packed for ${arch}: machine, size and blob are right; not started, which only a machine of that kind can do\n`,
  );
}
