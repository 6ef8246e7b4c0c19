import type { Backend } from './backend.ts';
import { IptablesPodKernel } from './iptables/podKernel.ts';
import { NftPodKernel } from './nftables/podKernel.ts';
import type { PodKernel, Warn } from './podKernel.ts';
import type { Environment } from './tools.ts';

/** Returns what the plugin writes by into a backend. */
export function podKernelOf(backend: Backend, options: { readonly env: Environment; readonly warn: Warn }): PodKernel {
  return backend === 'nftables' ? new NftPodKernel(options) : new IptablesPodKernel(backend, options);
}
