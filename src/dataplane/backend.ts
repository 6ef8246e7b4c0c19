import { readFileSync } from 'node:fs';
import { isMissingChain } from './iptables/errors.ts';
import { IPTABLES_VARIANTS, restoreCommand, type IptablesVariant } from './iptables/sync.ts';
import { nftProblem } from './nftables/version.ts';
import { spawnSync } from './spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from './tools.ts';

/** How rules get into the kernel. */
export type Backend = 'nftables' | 'iptables-nft' | 'iptables-legacy';

export const BACKENDS: readonly Backend[] = ['nftables', 'iptables-nft', 'iptables-legacy'];

export interface BackendChoice {
  readonly backend: Backend;
  readonly reason: string;
}

const COMMAND_LIMIT_MS = 10_000;

/** Returns the program that writes IPv4's rules. */
export function programOf(backend: Backend): string {
  return backend === 'nftables' ? 'nft' : restoreCommand('ipv4', backend);
}

/** Returns the package, as distributions call it, that this program is in. */
export function packageOf(backend: Backend): string {
  return backend === 'nftables' ? 'nftables' : 'iptables';
}

/** Tells whether a text names a backend. */
export function isBackend(text: unknown): text is Backend {
  return BACKENDS.some((backend) => backend === text);
}

/**
 * Returns the backend that others on this node write into, or `undefined` when neither nft nor iptables can be used. kube-proxy in its nftables mode
 * has a table of its own; the kubelet and kube-proxy's other modes leave a chain in `mangle` to be found by (kubernetes/enhancements
 * KEP-3866, KEP-3178); next what has rules; last what is installed. Nothing is written, and no legacy table is touched that is not in use: that
 * would load it.
 */
export function detectBackend(env: Environment): BackendChoice | undefined {
  const canUseNft = nftProblem(env) === undefined;
  if (canUseNft && hasKubeProxyTable(env)) return { backend: 'nftables', reason: 'kube-proxy uses it' };
  const iptables = detectIptables(env);
  if (iptables !== undefined) return iptables;
  return canUseNft ? { backend: 'nftables', reason: 'iptables is not installed' } : undefined;
}

/** kube-proxy's table in its nftables mode: `ip kube-proxy` or `ip6 kube-proxy`. */
function hasKubeProxyTable(env: Environment): boolean {
  return / kube-proxy$/m.test(run('nft', { args: ['list', 'tables'], env }).stdout);
}

function detectIptables(env: Environment): BackendChoice | undefined {
  const [nft, legacy] = IPTABLES_VARIANTS.map((backend) => findTool(`${backend}-restore`, env) !== undefined);
  if (!nft && !legacy) return undefined;
  if (!legacy) return { backend: 'iptables-nft', reason: 'only iptables-nft is installed' };
  if (!nft) return { backend: 'iptables-legacy', reason: 'only iptables-legacy is installed' };
  const legacyTables = tablesInUse();
  const hint = hintIn('iptables-nft', env);
  if (hint === 'unusable') return { backend: 'iptables-legacy', reason: 'the kernel has no nf_tables' };
  if (hint === 'found') return { backend: 'iptables-nft', reason: 'the kubelet or kube-proxy uses it' };
  if (legacyTables.includes('mangle') && hintIn('iptables-legacy', env) === 'found') {
    return { backend: 'iptables-legacy', reason: 'the kubelet or kube-proxy uses it' };
  }
  const rules = (backend: IptablesVariant) =>
    backend === 'iptables-legacy' && legacyTables.length === 0 ? 0 : countRules(backend, env);
  if (rules('iptables-legacy') > rules('iptables-nft'))
    return { backend: 'iptables-legacy', reason: 'it has more rules than iptables-nft' };
  return { backend: 'iptables-nft', reason: 'no other is in use' };
}

/** Returns the legacy tables of this network namespace that have been in use. */
function tablesInUse(): readonly string[] {
  try {
    return readFileSync('/proc/net/ip_tables_names', 'utf8')
      .split('\n')
      .filter((name) => name !== '');
  } catch {
    // The file comes with the module.
    return [];
  }
}

function hintIn(backend: IptablesVariant, env: Environment): 'found' | 'missing' | 'unusable' {
  for (const chain of ['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY']) {
    const { status, stderr } = run(backend, { args: ['-t', 'mangle', '-S', chain], env });
    if (status === 0) return 'found';
    if (!isMissingChain({ exitCode: status ?? undefined, stderr })) return 'unusable';
  }
  return 'missing';
}

function countRules(backend: IptablesVariant, env: Environment): number {
  const { stdout } = run(`${backend}-save`, { args: [], env });
  return stdout.split('\n').filter((line) => line.startsWith('-A ')).length;
}

function run(command: string, { args, env }: { readonly args: readonly string[]; readonly env: Environment }) {
  const file = findTool(command, env);
  if (file === undefined) return { status: null, stdout: '', stderr: '' };
  return spawnSync(file, args, { input: '', env: toolEnvironment(env), timeoutMs: COMMAND_LIMIT_MS });
}
