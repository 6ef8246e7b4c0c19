/** The two address families NetworkPolicy knows. Each has its own tables, sets and addresses in the kernel. */
export type IpFamily = 'ipv4' | 'ipv6';

/** Both families, in the order in which everything is rendered. */
export const IP_FAMILIES: readonly IpFamily[] = ['ipv4', 'ipv6'];

/** Returns the family of a canonical address or CIDR. Only IPv6 text has a colon. */
export function familyOf(address: string): IpFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
