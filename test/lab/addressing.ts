import type { IpFamily } from '../../src/net/family.ts';

export function nodeName(number: number): string {
  return `node-${number}`;
}

/** Returns the address of a node on the wire. */
export function nodeAddress(number: number, family: IpFamily): string {
  return family === 'ipv4' ? `10.250.0.${number}` : `fd00:250::${number}`;
}

/** The network of the nodes' own addresses. */
export const WIRE_CIDR: Readonly<Record<IpFamily, string>> = { ipv4: '10.250.0.0/24', ipv6: 'fd00:250::/64' };

/** Returns the network of a node's pods. */
export function podCidr(number: number, family: IpFamily): string {
  return family === 'ipv4' ? `10.244.${number}.0/24` : `fd00:244:0:${number}::/64`;
}

/** The network that all nodes' pods are in. */
export const POD_NETWORK: Readonly<Record<IpFamily, string>> = { ipv4: '10.244.0.0/16', ipv6: 'fd00:244::/48' };
