import { readFileIfAny } from '../files/readIfAny.ts';

const SYSCTLS: readonly string[] = ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'];

/**
 * Returns what br_netfilter is set to in this process' network namespace, by sysctl, or `undefined` where the module is not loaded. `root` is where
 * `/proc` is.
 */
export function bridgeSysctls(root = ''): Readonly<Record<string, string>> | undefined {
  const values = SYSCTLS.flatMap((name) => {
    const value = readFileIfAny(`${root}/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
    return value === undefined ? [] : [[name, value] as const];
  });
  return values.length === 0 ? undefined : Object.fromEntries(values);
}
