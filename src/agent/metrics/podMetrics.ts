import { Counter } from 'prom-client';
import type { AgentStatus } from '../../rendezvous/agentSocket.ts';
import { addGauge, PREFIX, type Group } from './group.ts';

/** This node's pods. */
export class PodMetrics {
  readonly #attachments: Counter<'event'>;

  constructor(group: Group) {
    this.#attachments = new Counter({
      name: `${PREFIX}attachments_total`,
      help: 'Interfaces of pods that came by ADD and went by DEL while the agent ran',
      labelNames: ['event'],
      registers: [group.registry],
    });
    for (const event of ['add', 'del'] as const) this.#attachments.inc({ event }, 0);
    addGauges(group);
  }

  /** So many came by ADD, and so many went by DEL. */
  attached({ added, removed }: { readonly added: number; readonly removed: number }): void {
    if (added > 0) this.#attachments.inc({ event: 'add' }, added);
    if (removed > 0) this.#attachments.inc({ event: 'del' }, removed);
  }
}

function addGauges(group: Group): void {
  const gauge = (name: string, help: string, value: (pods: AgentStatus['pods']) => number) =>
    addGauge(group, { name, help, value: ({ pods }) => value(pods) });
  gauge('pods_attached', 'Pods of this node that are hooked in', ({ attached }) => attached);
  gauge('pods_adopted', 'Pods of this node that were there before the plugin was', ({ adopted }) => adopted);
  gauge('pods_isolated', 'Pods of this node that a policy isolates', ({ isolated }) => isolated);
  gauge(
    'pods_quarantined',
    'Pods of this node that are refused everything until the source shows them',
    ({ quarantined }) => quarantined.length,
  );
  gauge(
    'oldest_quarantine_seconds',
    'For how long the pod has been quarantined that has been so longest; 0 when none is',
    oldestQuarantine,
  );
}

function oldestQuarantine({ quarantinedSince }: AgentStatus['pods']): number {
  const since = Object.values(quarantinedSince).map((at) => Date.parse(at));
  return since.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...since)) / 1000;
}
