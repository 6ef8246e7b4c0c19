import { BACKENDS, packageOf, programOf } from '../dataplane/backend.ts';
import { findTool } from '../dataplane/tools.ts';
import { readHeartbeat, wasInSync } from '../rendezvous/heartbeat.ts';
import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import type { Context } from './context.ts';
import { CniError } from './errors.ts';
import { agreedBackend } from './backend.ts';

// Any address of the family: only which sysctl counts.
const SOME_IPV4 = ['0.0.0.0'];

/**
 * Throws a CniError that says why ADD would fail, or would quarantine every pod because no agent has come up yet. One that is merely away, as during
 * an upgrade, is no reason: a node that is not ready loses its Services' endpoints, and later its pods, which are protected all the while.
 * Looks at files only, so that it never hangs.
 */
export function status(context: Context): void {
  const { config, env } = context;
  const agent = readHeartbeat(config.runtimeDir);
  const backend = agreedBackend(context, agent);
  const backends = backend === undefined ? BACKENDS : [backend];
  if (!backends.some((known) => findTool(programOf(known), env) !== undefined)) {
    throw unavailable(
      `${backends.map(programOf).join(' or ')} is not installed`,
      `Install ${backend === undefined ? 'nftables or iptables' : packageOf(backend)}`,
    );
  }
  const problem = bridgeFilterProblem(SOME_IPV4);
  if (problem !== undefined)
    throw unavailable(
      problem,
      'Packets between pods on one bridge would pass no rule; where no bridge is used, setting it harms nothing',
    );
  if (agent === undefined && config.whenAgentDown === 'deny' && !wasInSync(config.runtimeDir))
    throw agentAway(config.runtimeDir);
}

function unavailable(problem: string, details: string): CniError {
  return new CniError('notAvailable', { msg: `Cannot protect pods: ${problem}`, details });
}

function agentAway(runtimeDir: string): CniError {
  return new CniError('limitedConnectivity', {
    msg: 'Cannot connect new pods: no agent has been in sync on this node yet',
    details: `There is no heartbeat at ${runtimeDir}/agent. New pods are refused everything until "kube-nwplcy agent" runs and is in sync`,
  });
}
