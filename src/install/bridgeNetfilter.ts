import { writeFileSync } from 'node:fs';
import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import { runTool } from '../dataplane/runTool.ts';
import type { Environment } from '../dataplane/tools.ts';
import type { Outcome, Step } from './step.ts';

/** By any address of the family that they are for. */
const SYSCTLS = {
  '0.0.0.0': 'net.bridge.bridge-nf-call-iptables',
  '::': 'net.bridge.bridge-nf-call-ip6tables',
} as const;
const MODULE = 'br_netfilter';
const COMMAND = `modprobe ${MODULE} && sysctl -w ${Object.values(SYSCTLS)
  .map((name) => `${name}=1`)
  .join(' ')}`;

export interface BridgeNetfilterOptions {
  readonly env: Environment;
  readonly dryRun: boolean;
  /** Where `/proc` is; the machine's if not given. */
  readonly root?: string;
}

/**
 * Sees to it that packets between ports of one bridge pass FORWARD, in this process' network namespace (Documentation/networking/ip-sysctl.rst,
 * "/proc/sys/net/bridge/*"). Where that is so already nothing is written, and no privilege is needed.
 */
export function ensureBridgeNetfilter({ env, dryRun, root = '' }: BridgeNetfilterOptions): Outcome {
  const steps: Step[] = [];
  const problems: string[] = [];
  const problem = bridgeFilterProblem(Object.keys(SYSCTLS), root);
  if (problem === undefined) return { steps, notes: [], problems };
  if (problem.startsWith('load')) {
    // Loading sets both.
    const failure = dryRun ? undefined : runTool('modprobe', [MODULE], env);
    if (failure !== undefined)
      return { steps, notes: [], problems: [`Cannot load ${MODULE}: ${failure}; run "${COMMAND}" on the node`] };
    steps.push({ path: MODULE, verb: 'loaded', what: 'the kernel module' });
    if (dryRun) return { steps, notes: [], problems };
  }
  for (const [address, name] of Object.entries(SYSCTLS)) {
    if (bridgeFilterProblem([address], root) === undefined) continue;
    const failure = dryRun ? undefined : written(`${root}/proc/sys/${name.replaceAll('.', '/')}`);
    if (failure === undefined) steps.push({ path: name, verb: 'set', what: 'to 1' });
    else problems.push(`Cannot set ${name}: ${failure}; run "${COMMAND}" on the node`);
  }
  return { steps, notes: steps.length > 0 ? [LASTING] : [], problems };
}

const LASTING = `${Object.values(SYSCTLS).join(' and ')} last until the next boot: put them into /etc/sysctl.d and ${MODULE} into /etc/modules-load.d, or let "install" run at each boot`;

function written(path: string): string | undefined {
  try {
    writeFileSync(path, '1');
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
