import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { runPlugin } from '../src/cni/plugin.ts';
import { BACKENDS, programOf } from '../src/dataplane/backend.ts';
import { beat } from '../src/rendezvous/heartbeat.ts';
import { writeExpected } from '../src/rendezvous/expected.ts';
import { OPEN } from '../src/rules/pod.ts';

const POD = { namespace: 'default', name: 'pod' };
/** It names no interface of this machine: none is looked at, and none is taken down. */
const PREV_RESULT = { cniVersion: '1.0.0', interfaces: [], ips: [{ address: '192.0.2.1/24' }] };

/**
 * Calls the plugin as a container runtime does, for one pod with each backend. Nothing comes of it: the programs that it runs do nothing. Throws an
 * Error when a call fails that should not.
 */
export function callPlugin(plugin: typeof runPlugin): void {
  const folder = mkdtempSync(join(tmpdir(), 'plugin-calls-'));
  try {
    for (const backend of BACKENDS) callWith(plugin, { backend, folder: join(folder, backend) });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function callWith(
  plugin: typeof runPlugin,
  { backend, folder }: { readonly backend: (typeof BACKENDS)[number]; readonly folder: string },
): void {
  const runtimeDir = join(folder, 'run');
  const programs = join(folder, 'programs');
  for (const directory of [runtimeDir, programs]) mkdirSync(directory, { recursive: true });
  for (const program of [programOf(backend), 'conntrack', 'ip']) symlinkSync('/bin/true', join(programs, program));
  beat(runtimeDir, { pid: process.pid, backend });
  writeExpected(runtimeDir, { ...POD, uids: [], judgements: OPEN });
  const config = { cniVersion: '1.0.0', name: 'network', type: 'kube-nwplcy', runtimeDir, backend, logLevel: 'fatal' };
  const stdin = () => JSON.stringify({ ...config, agentTimeoutMs: 1, prevResult: PREV_RESULT });
  for (const command of ['ADD', 'CHECK', 'DEL']) {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'container',
      CNI_NETNS: '/run/netns/pod',
      CNI_IFNAME: 'eth0',
      CNI_PATH: programs,
      CNI_ARGS: `K8S_POD_NAMESPACE=${POD.namespace};K8S_POD_NAME=${POD.name}`,
      PATH: programs,
    };
    const { exitCode, stdout } = plugin({ env, stdin });
    // What CHECK looks for is not there.
    if (exitCode !== 0 && command !== 'CHECK') throw new Error(`Cannot call the plugin: ${command} says ${stdout}`);
  }
}
