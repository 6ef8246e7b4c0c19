import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { LIVE, liveJson } from '../page/pageData.ts';
import { pageDocument, pagePolicy, type PageAsset } from '../page/pageDocument.ts';
import type { SourceState } from '../source/source.ts';
import { isLoopback, isOwnName } from './hostNames.ts';
import { LiveSnapshot } from './liveSnapshot.ts';
import type { ListenAddress } from './metrics.ts';

/** How the page is served. */
export interface LivePageOptions {
  readonly address: ListenAddress;
  readonly asset: PageAsset;
  /** Whether the source shows only the pods that policies of this node's pods need. */
  readonly isPartial: boolean;
}

/** What the page shows. */
export interface LiveKnowledge {
  readonly nodeName: string;
  readonly sourceName: string;
  readonly state: () => SourceState;
}

/** A page that is served until it is closed. */
export interface LivePage {
  /** Where it is served; the port is the system's choice where 0 was asked for. */
  readonly address: ListenAddress;
  /** To be called when the state is another one. */
  readonly changed: () => void;
  readonly close: () => void;
}

/** Everybody who reaches the port reads all policies: throws an Error if others than this machine could, and nobody said that they may. */
export function refuseRemote({ host }: ListenAddress, { allowRemote }: { readonly allowRemote: boolean }): void {
  if (allowRemote || isLoopback(host)) return;
  throw new Error(
    `Cannot serve the page at "${host}": it is no loopback address, and whoever reaches it reads all pods and policies; add --ui-allow-remote if they may`,
  );
}

/** Neither many who look nor slow ones hold the agent up. */
const MOST_CONNECTIONS = 32;
const IDLE_MS = 15_000;

/**
 * Serves the page at `/` and what it shows at `/cluster`, to be read only. Nothing is computed while nobody asks. Rejects with the system's error
 * when it cannot listen.
 */
export async function serveLivePage(options: LivePageOptions, knowledge: LiveKnowledge): Promise<LivePage> {
  const { host, port } = options.address;
  const snapshot = new LiveSnapshot(() => portionsOf(options, knowledge));
  const served = {
    options,
    knowledge,
    snapshot,
    document: Buffer.from(pageDocument(options.asset, LIVE, { connect: true })),
  };
  const headers = headersOf(options.asset);
  const server = createServer({ headersTimeout: IDLE_MS, requestTimeout: IDLE_MS }, (request, response) => {
    void replyTo(request, served)
      .catch((): Reply => ({ code: 500, body: 'The agent cannot tell what it knows\n' })) // whatever goes wrong here, the node's rules are kept
      .then((reply) => send(response, reply, { headers, isHead: request.method === 'HEAD' }));
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(IDLE_MS);
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject); // later ones concern one connection: whoever looks asks again
    server.listen(port, host, resolve);
  });
  return { address: { host, port: portOf(server) }, changed: () => snapshot.changed(), close: () => close(server) };
}

function portionsOf({ isPartial }: LivePageOptions, { nodeName, sourceName, state }: LiveKnowledge): Iterable<string> {
  const { cluster, away } = state();
  return liveJson({ node: nodeName, isPartial, away: away?.reason ?? null, source: sourceName, cluster });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function headersOf(asset: PageAsset): Readonly<Record<string, string>> {
  return {
    'content-security-policy': `${pagePolicy(asset, { connect: true })}; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
}

interface Served {
  readonly options: LivePageOptions;
  readonly knowledge: LiveKnowledge;
  readonly snapshot: LiveSnapshot;
  readonly document: Buffer;
}

interface Reply {
  readonly code: number;
  readonly type?: string;
  readonly body?: Buffer | string;
  readonly more?: Readonly<Record<string, string>>;
}

async function replyTo({ method, url, headers }: IncomingMessage, served: Served): Promise<Reply> {
  const { options, knowledge, snapshot, document } = served;
  if (!isOwnName(headers.host, options.address))
    return {
      code: 421,
      body: 'Cannot answer under this name: ask by a loopback address, or by what --ui-addr names\n',
    };
  if (method !== 'GET' && method !== 'HEAD')
    return { code: 405, body: 'There is nothing to change here\n', more: { allow: 'GET, HEAD' } };
  const [path] = (url ?? '').split('?');
  if (path === '/') return { code: 200, type: 'text/html; charset=utf-8', body: document };
  if (path !== '/cluster') return { code: 404, body: 'Look at /\n' };
  if (!knowledge.state().inSync) return { code: 503, body: 'The agent has not heard everything from its source yet\n' };
  const held = headers['if-none-match'];
  if (held === snapshot.tag()) return { code: 304, more: { etag: held } };
  const { tag, body } = await snapshot.body();
  const more = { etag: tag };
  if (held === tag) return { code: 304, more };
  return { code: 200, type: 'application/json; charset=utf-8', body, more };
}

function send(
  response: ServerResponse,
  { code, type = 'text/plain; charset=utf-8', body = '', more = {} }: Reply,
  { headers, isHead }: { readonly headers: Readonly<Record<string, string>>; readonly isHead: boolean },
): void {
  const about = code === 304 ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
  response.writeHead(code, { ...headers, ...more, ...about }).end(isHead ? undefined : body);
}
