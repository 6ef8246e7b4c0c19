import { collectDefaultMetrics, Registry } from 'prom-client';
import type { AgentStatus } from '../../rendezvous/agentSocket.ts';
import type { DeniedFlow } from '../../rendezvous/deniedFlow.ts';
import { addBuildInfo, type BuildInfo } from './buildInfo.ts';
import { addFlowMetrics } from './flowMetrics.ts';
import { KernelMetrics } from './kernelMetrics.ts';
import { PodMetrics } from './podMetrics.ts';
import { SourceMetrics } from './sourceMetrics.ts';

// Gauges of the library whose names end as a counter's must: the plain ones beside them add up to the same.
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/**
 * What an agent counts, a group a file. What happens is counted when it does, at the cost of about a microsecond; what is there now is asked of
 * the status when somebody reads.
 */
export class AgentMetrics {
  readonly kernel: KernelMetrics;
  readonly source: SourceMetrics;
  readonly pods: PodMetrics;
  readonly #registry = new Registry();
  /** As it was when somebody last asked: all that they read is of one moment. */
  #now: AgentStatus | undefined;
  readonly #status: () => AgentStatus;

  constructor(build: BuildInfo, status: () => AgentStatus) {
    this.#status = status;
    addBuildInfo(this.#registry, build);
    const group = { registry: this.#registry, status: () => this.#now ?? status() };
    this.kernel = new KernelMetrics(group);
    this.source = new SourceMetrics(group);
    this.pods = new PodMetrics(group);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Returns all of them in Prometheus' text format. */
  async text(): Promise<string> {
    this.#now = this.#status();
    return this.#registry.metrics();
  }

  /**
   * Adds what costs something to tell, from now on: nobody does so who is not asked. Those of the process watch the event loop and the garbage
   * collector, and `flows` asks the kernel.
   */
  serve(flows: () => Promise<readonly DeniedFlow[]>): void {
    addFlowMetrics(this.#registry, flows);
    collectDefaultMetrics({ register: this.#registry });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
  }
}
