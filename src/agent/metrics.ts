import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AgentStatus } from '../rendezvous/agentSocket.ts';
import type { AgentMetrics } from './metrics/agentMetrics.ts';
import { isReady } from './ready.ts';

/** An address to serve at. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What is told there. */
export interface Told {
  readonly metrics: AgentMetrics;
  readonly status: () => AgentStatus;
}

/**
 * Serves `/metrics` in Prometheus' text format, `/healthz` (the process answers) and `/readyz` (the kernel holds what the source holds). Returns
 * the server; close it to stop. Rejects with the system's error when it cannot listen.
 */
export async function serveMetrics({ host, port }: ListenAddress, told: Told): Promise<Server> {
  const server = createServer((request, response) => {
    void pageOf(request.url, told).then((page) => answer(response, page));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

interface Page {
  readonly code: number;
  readonly type: string;
  readonly text: string;
}

const PLAIN = 'text/plain';

async function pageOf(url: string | undefined, { metrics, status }: Told): Promise<Page> {
  if (url === '/metrics') return { code: 200, type: metrics.contentType, text: await metrics.text() };
  if (url === '/healthz' || (url === '/readyz' && isReady(status()))) return { code: 200, type: PLAIN, text: 'ok\n' };
  if (url === '/readyz') return { code: 503, type: PLAIN, text: 'The kernel does not hold what the source holds\n' };
  return { code: 404, type: PLAIN, text: 'Look at /metrics, /healthz or /readyz\n' };
}

function answer(response: ServerResponse, { code, type, text }: Page): void {
  response.writeHead(code, { 'content-type': type }).end(text);
}
