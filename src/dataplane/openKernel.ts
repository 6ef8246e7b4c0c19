import type { Logger } from 'pino';
import { IP_FAMILIES } from '../net/family.ts';
import type { Backend } from './backend.ts';
import { CommandError } from './commandError.ts';
import { Iptables } from './iptables/iptables.ts';
import { IptablesKernel } from './iptables/iptablesKernel.ts';
import type { IptablesVariant } from './iptables/sync.ts';
import type { Kernel, KernelOptions } from './kernel.ts';
import { NftKernel } from './nftables/nftKernel.ts';
import { nftProblem } from './nftables/version.ts';
import type { Environment } from './tools.ts';

/** Returns the agent's way into a backend. Throws an Error that says what this node lacks for it. */
export async function openKernel(
  backend: Backend,
  { env, log, ...options }: KernelOptions & { readonly env: Environment; readonly log: Logger },
): Promise<Kernel> {
  if (backend !== 'nftables') return new IptablesKernel(await usableTables(backend, log), options);
  const problem = nftProblem(env);
  if (problem !== undefined) throw new Error(`Cannot use the backend "nftables": ${problem}`);
  return new NftKernel(options);
}

/** IPv4 must work. A kernel without IPv6 tables has no IPv6 packets to judge. */
async function usableTables(backend: IptablesVariant, log: Logger): Promise<readonly Iptables[]> {
  const tables = IP_FAMILIES.map((family) => new Iptables(family, backend));
  const usable: Iptables[] = [];
  for (const table of tables) {
    try {
      await table.read([]);
      usable.push(table);
    } catch (error) {
      if (table.family === 'ipv4' || !(error instanceof CommandError)) throw error;
      log.warn({ err: error }, 'Cannot use ip6tables: IPv6 traffic of pods is not judged');
    }
  }
  return usable;
}
