import { statfsSync, statSync } from 'node:fs';
import { isMissing } from '../files/readIfAny.ts';
import { printable } from '../net/quote.ts';
import { readHeartbeat, wasInSync } from '../rendezvous/heartbeat.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('runtimeDir');
const agent = new Findings('agent');
// linux/magic.h
const MEMORY_FILE_SYSTEMS = [0x01021994, 0x858458f6];

/** Where plugin and agent meet is root's alone and gone after a reboot, and an agent is there. */
export function checkRuntimeDir({ runtimeDir, isRoot }: ExaminedNode): readonly Finding[] {
  const shown = printable(runtimeDir);
  const start = 'start "kube-nwplcy agent"; until then a new pod is quarantined';
  try {
    const { uid, mode } = statSync(runtimeDir);
    const place = placeFinding(runtimeDir, { uid, mode });
    if (!isRoot) return [place, agent.unknown(`Only root may look into ${shown}`, 'run this as root')];
    const heartbeat = readHeartbeat(runtimeDir);
    if (heartbeat !== undefined)
      return [place, agent.ok(`It is alive, process ${heartbeat.pid}, and uses ${printable(heartbeat.backend)}`)];
    return [
      place,
      agent.warning(
        wasInSync(runtimeDir)
          ? 'None is alive here: what it wrote last stays in force'
          : 'None has been in sync since the node booted',
        start,
      ),
    ];
  } catch (error) {
    if (isMissing(error))
      return [agent.warning(`There is no ${shown}: no agent has run here since the node booted`, start)];
    throw error;
  }
}

function placeFinding(runtimeDir: string, { uid, mode }: { readonly uid: number; readonly mode: number }): Finding {
  const shown = printable(runtimeDir);
  if (uid !== 0 || (mode & 0o022) !== 0)
    return findings.problem(
      `${shown}: others than root can write there, and so decide how pods are judged`,
      `chown root:root ${shown}; chmod 700 ${shown}; then restart the agent`,
    );
  if (!MEMORY_FILE_SYSTEMS.includes(statfsSync(runtimeDir).type))
    return findings.warning(
      `${shown}: it is on no tmpfs, and tells of pods after a reboot that are not there any more`,
      'have it on /run, or empty it at each boot before the container runtime starts',
    );
  return findings.ok(`${shown}: root's alone, and on a tmpfs`);
}
