import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { output, runner } from './run.ts';

/**
 * Loads br_netfilter if the kernel has it not. Loading shows the packets of all bridges of the machine to its iptables, which the lab wants
 * of its own nodes only: the machine's bridges are put back to where they were.
 */
export async function loadBridgeNetfilter(): Promise<void> {
  const settings = '/proc/sys/net/bridge';
  if (existsSync(settings)) return;
  await output(runner([], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }), ['modprobe', 'br_netfilter']);
  const names = ['arptables', 'ip6tables', 'iptables'];
  await Promise.all(names.map((name) => writeFile(`${settings}/bridge-nf-call-${name}`, '0')));
}
