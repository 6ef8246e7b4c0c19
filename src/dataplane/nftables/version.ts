import { readFileIfAny } from '../../files/readIfAny.ts';
import { spawnSync } from '../spawnSync.ts';
import { CommandError } from '../commandError.ts';
import { listTables, type NftProgram } from './nftSync.ts';
import { findTool, toolEnvironment, type Environment } from '../tools.ts';

/** What chains and tables with comments, and the sets that we use, need at least. */
const LEAST_NFT = [1, 0, 1] as const;
const LEAST_KERNEL = [5, 10] as const;

const COMMAND_LIMIT_MS = 10_000;

/** Returns what keeps the nftables backend from being used on this node, or `undefined` when nothing does. */
export function nftProblem(env: Environment, kernel = kernelRelease()): string | undefined {
  const file = findTool('nft', env);
  if (file === undefined) return `nft is not installed; install "nftables" ${LEAST_NFT.join('.')} or newer`;
  if (!isAtLeast(kernel, LEAST_KERNEL))
    return `the kernel is ${kernel}, and nftables needs ${LEAST_KERNEL.join('.')} or newer; use an iptables backend`;
  const { stdout } = spawnSync(file, ['--version'], {
    input: '',
    env: toolEnvironment(env),
    timeoutMs: COMMAND_LIMIT_MS,
  });
  const version = /v(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? 'of an unknown version';
  if (!isAtLeast(version, LEAST_NFT))
    return `nft is ${version}, and ${LEAST_NFT.join('.')} or newer is needed; update "nftables", or use an iptables backend`;
  return listingProblem({ file, env });
}

/** What nft cannot read of others' it cannot read past either. */
function listingProblem(program: NftProgram): string | undefined {
  try {
    listTables(program);
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

function kernelRelease(): string {
  return readFileIfAny('/proc/sys/kernel/osrelease')?.trim() ?? 'of an unknown version';
}

/** Tells whether a dotted version, whatever comes after its numbers, is as new as another. */
function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = /^\d+(?:\.\d+)*/.exec(version)?.[0].split('.').map(Number) ?? [];
  for (const [index, wanted] of least.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
