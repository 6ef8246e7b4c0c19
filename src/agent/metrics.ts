import { createServer, type Server, type ServerResponse } from 'node:http';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';

/** An address to serve at. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Serves `/metrics` in Prometheus' text format, `/healthz` (the process answers) and `/readyz` (the kernel holds what the source holds), all
 * derived from the status. Returns the server; close it to stop. Rejects with the system's error when it cannot listen.
 */
export async function serveMetrics({ host, port }: ListenAddress, status: () => AgentStatus): Promise<Server> {
  const registry = metricsOf(status);
  const server = createServer((request, response) => {
    void pageOf(request.url, { registry, status }).then((page) => answer(response, page));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

function isReady({ failure, source, lastSync }: AgentStatus): boolean {
  return failure === undefined && source.inSync && lastSync !== undefined;
}

interface Page {
  readonly code: number;
  readonly type: string;
  readonly text: string;
}

const PLAIN = 'text/plain';

async function pageOf(
  url: string | undefined,
  { registry, status }: { readonly registry: Registry; readonly status: () => AgentStatus },
): Promise<Page> {
  if (url === '/metrics') return { code: 200, type: registry.contentType, text: await registry.metrics() };
  if (url === '/healthz' || (url === '/readyz' && isReady(status()))) return { code: 200, type: PLAIN, text: 'ok\n' };
  if (url === '/readyz') return { code: 503, type: PLAIN, text: 'The kernel does not hold what the source holds\n' };
  return { code: 404, type: PLAIN, text: 'Look at /metrics, /healthz or /readyz\n' };
}

function answer(response: ServerResponse, { code, type, text }: Page): void {
  response.writeHead(code, { 'content-type': type }).end(text);
}

function metricsOf(status: () => AgentStatus): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, value: (now: AgentStatus) => number) =>
    new Gauge({
      name: `kube_nwplcy_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value(status()));
      },
    });
  gauge('ready', 'Whether the kernel holds what the source holds', (now) => Number(isReady(now)));
  gauge('source_in_sync', 'Whether everything was listed at least once', ({ source }) => Number(source.inSync));
  gauge(
    'source_away_since_seconds',
    'Since when the source cannot be reached, in Unix time; 0 while it can',
    ({ source }) => (source.away === undefined ? 0 : Date.parse(source.away.since) / 1000),
  );
  gauge('generation', 'The newest generation of judgements', ({ generation }) => generation);
  gauge(
    'repairs_total',
    'How often our rules or sets were found changed by others and put right',
    ({ repairs }) => repairs,
  );
  gauge('policies', 'NetworkPolicies in the source', ({ policies }) => policies);
  gauge('pods_attached', 'Pods of this node that are hooked in', ({ pods }) => pods.attached);
  gauge('pods_adopted', 'Pods of this node that were there before the plugin was', ({ pods }) => pods.adopted);
  gauge('pods_isolated', 'Pods of this node that a policy isolates', ({ pods }) => pods.isolated);
  gauge(
    'pods_quarantined',
    'Pods of this node that are refused everything until the source shows them',
    ({ pods }) => pods.quarantined.length,
  );
  gauge(
    'last_sync_duration_seconds',
    'How long the last change of the kernel took',
    ({ lastSync }) => (lastSync?.milliseconds ?? 0) / 1000,
  );
  const problems = new Gauge({
    name: 'kube_nwplcy_source_problem',
    help: 'A file or object of the source that cannot be used; its last good content is in force',
    labelNames: ['where', 'line'],
    collect() {
      this.reset();
      for (const { where, line } of status().source.problems) this.set({ where, line: line ?? '' }, 1);
    },
  });
  registry.registerMetric(problems);
  return registry;
}
