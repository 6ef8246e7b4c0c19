import { env } from 'node:process';
import { isBackend, type Backend } from '../../src/dataplane/backend.ts';
import type { IptablesVariant } from '../../src/dataplane/iptables/sync.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import type { ProductOptions } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';

/** The backend that this run is about: vitest's projects `kernel` and `kernel-nftables` are the same files for one each. */
export const backendUnderTest: Backend = chosenBackend();

/** Whether this run is about nftables. */
export const isNftables = backendUnderTest === 'nftables';

/** Returns the backend for a place that has this world of iptables where the run is about iptables. */
export function orNftables(variant: IptablesVariant): Backend {
  return isNftables ? 'nftables' : variant;
}

/** Takes out, as somebody else may, all that leads IPv4 packets to the chains of the pods that they go to. */
export async function unhookIngress(node: LabNode, backend: Backend): Promise<void> {
  const nft = ['nft', 'flush', 'map', 'inet', 'kube-nwplcy', 'ingress4'];
  await output(node.run, backend === 'nftables' ? nft : [backend, '-F', 'NWPLCY-INGRESS']);
}

/**
 * Returns the product that writes into a backend, for `startLab`; `conflist` are further keys of its part of the conflist. Where it writes by nft,
 * it finds neither iptables nor ipset: it must not need them. Another executable than the built one can be tried by the variable `KUBE_NWPLCY`.
 */
export function productOf(backend: Backend = backendUnderTest, conflist: JsonObject = {}): ProductOptions {
  return {
    ...(env['KUBE_NWPLCY'] !== undefined && { executable: env['KUBE_NWPLCY'] }),
    ...(backend === 'nftables' && { withoutPrograms: IPTABLES_PROGRAMS }),
    conflist: { backend, ...conflist },
  };
}

/** The names of the programs that a node with nftables alone has not. */
export const IPTABLES_PROGRAMS = /^(?:ip6?tables|ipset|xtables)/;

function chosenBackend(): Backend {
  const chosen = env['KUBE_NWPLCY_BACKEND'] ?? 'iptables-nft';
  if (!isBackend(chosen)) throw new Error(`Cannot test the backend "${chosen}": there is none of that name`);
  return chosen;
}
