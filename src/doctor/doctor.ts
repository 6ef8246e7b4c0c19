import { listAllChains } from '../dataplane/allChains.ts';
import { detectBackend, isBackend, programOf, type Backend } from '../dataplane/backend.ts';
import { findTool } from '../dataplane/tools.ts';
import { planNetwork, type Network } from '../install/network.ts';
import { printable } from '../net/quote.ts';
import { readBackendChoice } from '../rendezvous/backendChoice.ts';
import { checkExecutable } from './executable.ts';
import type { Check, ExaminedNode, Places } from './examined.ts';
import { Findings, type Finding } from './finding.ts';
import { checkForward } from './forward.ts';
import { checkHooks } from './hooks.ts';
import { checkKubeProxy } from './kubeProxy.ts';
import { checkLeftovers } from './leftovers.ts';
import { checkModules } from './modules.ts';
import { checkNetwork } from './network.ts';
import { checkRuntimeDir } from './runtimeDir.ts';
import { checkBridge, checkConntrack, checkForwarding } from './sysctls.ts';
import { checkTools } from './tools.ts';
import { checkWorlds } from './worlds.ts';

const CHECKS: Readonly<Record<string, Check>> = {
  conflist: checkNetwork,
  executable: checkExecutable,
  agent: checkRuntimeDir,
  programs: checkTools,
  modules: checkModules,
  bridge: checkBridge,
  forwarding: checkForwarding,
  conntrack: checkConntrack,
  iptables: checkWorlds,
  hooks: checkHooks,
  FORWARD: checkForward,
  engines: checkLeftovers,
  'kube-proxy': checkKubeProxy,
};

/** Looks at everything on this node that the product depends on. Writes nothing, loads nothing, and throws for nothing that it finds. */
export async function examine(places: Places): Promise<readonly Finding[]> {
  const node = { ...places, ...factsOf(places) };
  const found: Finding[] = [];
  for (const [name, check] of Object.entries(CHECKS)) found.push(...(await attempt(name, { check, node })));
  return found;
}

/** One after the other: several of them run programs. */
async function attempt(
  name: string,
  { check, node }: { readonly check: Check; readonly node: ExaminedNode },
): Promise<readonly Finding[]> {
  try {
    return await check(node);
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error));
    return [new Findings(name).unknown(`Cannot look: ${why}`, 'run this as root')];
  }
}

function factsOf(places: Places): Omit<ExaminedNode, keyof Places> {
  const isRoot = process.getuid?.() === 0;
  return {
    isRoot,
    network: networkOf(places.confDir),
    backend: backendOf(places, isRoot),
    chains: listAllChains(places.env),
  };
}

function networkOf(confDir: string): Network | Error {
  try {
    return planNetwork(confDir, { keys: {}, force: false });
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** Who is not root cannot see what others use, and must do with what is installed. */
function backendOf({ runtimeDir, env }: Places, isRoot: boolean): Backend | undefined {
  const earlier = chosenBackend(runtimeDir);
  if (isBackend(earlier)) return earlier;
  if (isRoot) return detectBackend(env)?.backend;
  return PREFERRED.find((backend) => findTool(programOf(backend), env) !== undefined);
}

const PREFERRED: readonly Backend[] = ['iptables-nft', 'iptables-legacy', 'nftables'];

function chosenBackend(runtimeDir: string): string | undefined {
  try {
    return readBackendChoice(runtimeDir);
  } catch {
    // Only root may look there.
    return undefined;
  }
}
