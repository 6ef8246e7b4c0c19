import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { LAB_VARIABLE } from '../lab/leftovers.ts';
import { output } from '../lab/run.ts';
import { until } from './containerd.ts';
import type { RuntimeNode } from './runtimeNode.ts';

/** What of a runtime's is alive when it is not: shims, and the image's processes. */
const PROGRAMS = ['containerd-shim-runc-v2', 'busybox'];

/** Of the node's own kernel and memory: what a reboot takes. Errors are of what is not there. */
const FORGET = `
for links in $(ls /sys/class/net | grep -E '^(cni|veth)'); do ip link delete "$links"; done
for tool in iptables-legacy ip6tables-legacy; do $tool -F; $tool -X; done
nft flush ruleset
ipset destroy
conntrack -F
grep -o '/run/containerd/[^ ]*' /proc/self/mounts | xargs -r umount --lazy
rm -rf /run/containerd /run/kube-nwplcy /run/cni-networks
true`;

/**
 * Does to the node what losing its power would: no process of its pods, its runtime and its agent is left, no rule, no link of a pod, and nothing in
 * /run. The runtime's own data stay, and it is not started again. host-local begins anew with the first address.
 */
export async function powerOff({ agent, containerd, lab, node }: RuntimeNode): Promise<void> {
  await Promise.all([agent.kill(), containerd.kill()]);
  const mark = `${LAB_VARIABLE}=${basename(lab.directory)}`;
  await until('end', () => {
    const pids = processesOf(mark);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids.length === 0;
  });
  await output(node.run, ['sh', '-c', FORGET]);
}

function processesOf(mark: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => isOf(pid, mark)).map(Number);
}

function isOf(pid: string, mark: string): boolean {
  try {
    const program = basename(readlinkSync(`/proc/${pid}/exe`));
    return PROGRAMS.includes(program) && readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
  } catch {
    return false; // it has ended
  }
}
