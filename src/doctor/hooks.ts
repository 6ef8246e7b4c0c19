import type { Backend } from '../dataplane/backend.ts';
import { CommandError } from '../dataplane/commandError.ts';
import { hookProblems } from '../dataplane/hooks.ts';
import { IP_FAMILIES, type IpFamily } from '../net/family.ts';
import { wasInSync } from '../rendezvous/heartbeat.ts';
import { printable } from '../net/quote.ts';
import type { ExaminedNode } from './examined.ts';
import { AS_ROOT, Findings, type Finding } from './finding.ts';

const findings = new Findings('hooks');

/** Where an agent has been, packets are led to our rules, before others'. */
export async function checkHooks({ backend, runtimeDir, isRoot }: ExaminedNode): Promise<readonly Finding[]> {
  if (!isRoot) return [findings.unknown('Cannot see whether packets reach our rules', AS_ROOT)];
  // Before the first agent there is nothing to be seen, and to look at a table of iptables may load it.
  if (backend === undefined || !wasInSync(runtimeDir)) return [];
  if (backend === 'nftables') return look(backend, IP_FAMILIES);
  return (await Promise.all(IP_FAMILIES.map((family) => look(backend, [family])))).flat();
}

async function look(backend: Backend, families: readonly IpFamily[]): Promise<readonly Finding[]> {
  const place = backend === 'nftables' ? 'nftables' : families.join();
  try {
    const problems = await hookProblems(backend, { families });
    if (problems.length === 0) return [findings.ok(`${place}: packets reach our rules before those of others`)];
    return problems.map((what) =>
      findings.problem(what, 'start the agent, which puts it back within a second, and find out who took it away'),
    );
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [
      findings.unknown(`Cannot see whether packets of ${place} reach our rules: ${printable(error.message)}`, AS_ROOT),
    ];
  }
}
