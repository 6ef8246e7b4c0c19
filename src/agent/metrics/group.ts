import { Gauge, type Registry } from 'prom-client';
import type { AgentStatus } from '../../rendezvous/agentSocket.ts';

/** What a group of metrics is made from. */
export interface Group {
  readonly registry: Registry;
  /** How the agent stands now. */
  readonly status: () => AgentStatus;
}

/** Every name of ours begins so. Never change it: dashboards and alerts of others name it. */
export const PREFIX = 'kube_nwplcy_';

/** From a millisecond, a change of one rule, to ten seconds, at which something is wrong. Seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Adds a gauge that is read off the status whenever somebody asks for it. */
export function addGauge(
  { registry, status }: Group,
  { name, help, value }: { readonly name: string; readonly help: string; readonly value: (now: AgentStatus) => number },
): void {
  const gauge: Gauge = new Gauge({
    name: `${PREFIX}${name}`,
    help,
    registers: [registry],
    collect: () => gauge.set(value(status())),
  });
}
