import { Counter, type Registry } from 'prom-client';
import type { DeniedFlow } from '../../rendezvous/deniedFlow.ts';
import { FlowCounters } from '../flowCounters.ts';
import { PREFIX } from './group.ts';

/** Adds what was refused, by the end that refused it. The kernel is asked whenever somebody reads; where it does not answer, nothing grows. */
export function addFlowMetrics(registry: Registry, flows: () => Promise<readonly DeniedFlow[]>): void {
  const counts = new FlowCounters();
  const counter: Counter = new Counter({
    name: `${PREFIX}denied_packets_total`,
    help: 'Packets that were refused, or with audit="true" would have been, by the pod that policies isolate',
    labelNames: ['pod', 'direction', 'audit'],
    registers: [registry],
    async collect() {
      counts.take(await flows().catch(() => []));
      counter.reset();
      for (const { pod, direction, audit, packets } of counts.counts())
        counter.inc({ pod, direction, audit: String(audit) }, packets);
    },
  });
}
