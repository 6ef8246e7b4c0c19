import { readFileSync } from 'node:fs';
import { familyOf } from '../net/family.ts';
import { runTool } from './runTool.ts';
import type { Environment } from './tools.ts';

/**
 * Drops the packets that wait on this node for the address to be resolved. They came before the pod's hooks did, and the queue lies behind FORWARD:
 * once the pod answers, they would reach it unjudged. Returns why it could not be done, or `undefined`.
 */
export function dropWaitingPackets(address: string, env: Environment): string | undefined {
  if (!mayWait(address)) return undefined;
  const family = familyOf(address) === 'ipv4' ? '-4' : '-6';
  return runTool('ip', [family, 'neighbour', 'flush', 'to', address], env);
}

/** Of IPv4 a file tells whether the address is still asked for (flags 0x0); of IPv6 only netlink does. */
function mayWait(address: string): boolean {
  if (familyOf(address) === 'ipv6') return true;
  try {
    const entries = readFileSync('/proc/net/arp', 'utf8')
      .split('\n')
      .map((line) => line.split(/ +/));
    return entries.some(([holder, , flags]) => holder === address && flags === '0x0');
  } catch {
    return true;
  }
}
