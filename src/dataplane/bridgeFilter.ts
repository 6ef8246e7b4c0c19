import { familyOf, type IpFamily } from '../net/family.ts';
import { readFileIfAny } from '../files/readIfAny.ts';

const SYSCTLS = {
  ipv4: 'net.bridge.bridge-nf-call-iptables',
  ipv6: 'net.bridge.bridge-nf-call-ip6tables',
} as const satisfies Record<IpFamily, string>;

/**
 * Returns what must be set so that packets between ports of one bridge pass FORWARD in the families of these addresses, or `undefined` when
 * nothing must (Documentation/networking/ip-sysctl.rst, "/proc/sys/net/bridge/*"). `root` is where `/proc` is.
 */
export function bridgeFilterProblem(addresses: readonly string[], root = ''): string | undefined {
  const families = [...new Set(addresses.map(familyOf))];
  const values = families.map((family) => ({ sysctl: SYSCTLS[family], value: readSysctl(SYSCTLS[family], root) }));
  const off = values.filter(({ value }) => value !== '1').map(({ sysctl }) => `${sysctl}=1`);
  if (off.length === 0) return undefined;
  const module = values.some(({ value }) => value === undefined) ? 'load the kernel module br_netfilter, then ' : '';
  return `${module}set ${off.join(' and ')}`;
}

/** The value belongs to the network namespace of the process that reads it, as packets on its bridges see it. */
function readSysctl(name: string, root: string): string | undefined {
  return readFileIfAny(`${root}/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
}
