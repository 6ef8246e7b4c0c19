import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { ApiConnection, type Credentials } from '../../src/source/api/connection.ts';
import { fieldSelectorSelects, labelSelectorSelects } from './apiSelectors.ts';
import type { LabelsManifest, Manifest } from './manifests.ts';

/** How the API server answers who asks for a list in the watch itself (KEP-3157). */
export type Streaming = 'supported' | 'refused' | 'refusedLater' | 'neverEnds' | 'ends';

/** A request as the log has it. */
export interface LoggedRequest {
  /** `list`, `page`, `stream`, `watch`, or the method of a request for one object. */
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
  readonly body: Manifest | undefined;
}

/** What a request is answered with instead of what was asked for. */
export interface Refusal {
  readonly code: number;
  readonly message?: string;
  readonly retryAfter?: string;
}

/** So many objects of a streamed list are told at once. */
const PIECE = 500;

interface StoredObject extends Manifest {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly resourceVersion: string };
}

interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
  readonly before: StoredObject | undefined;
  readonly version: number;
}

interface Watcher {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  /** Told of everything up to this. */
  version: number;
}

const COLLECTIONS: Readonly<Record<string, { readonly apiVersion: string; readonly path: string }>> = {
  Namespace: { apiVersion: 'v1', path: '/api/v1/namespaces' },
  Pod: { apiVersion: 'v1', path: '/api/v1/pods' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', path: '/apis/networking.k8s.io/v1/networkpolicies' },
  ConfigMap: { apiVersion: 'v1', path: '/api/v1/configmaps' },
};

const GONE = { code: 410, message: 'too old resource version' };

/**
 * An API server in this process, as far as somebody who lists, watches and writes whole objects can tell: one resourceVersion for all kinds, items
 * without a kind, pages, watches from any version that is not compacted. Beyond that it fails in every way that a test asks for.
 */
export class ApiDouble implements AsyncDisposable {
  readonly log: LoggedRequest[] = [];
  /** The only token that is not refused; `undefined`: none is asked for. */
  token: string | undefined;
  streaming: Streaming = 'supported';
  /** Whether a watch from before a compaction ends by its HTTP status or by an event. */
  goneAs: 'status' | 'event' = 'event';
  /** No request gets an answer. */
  hangs = false;
  /** Each watch ends as soon as it has told what it has to. */
  endsWatches = false;
  /** Returns what a request is answered with instead, if anything. */
  refuse: (request: LoggedRequest) => Refusal | undefined = () => undefined;
  /** Called for each request before it is answered. */
  onRequest: (request: LoggedRequest) => void = () => {};
  /** The largest page. */
  pageSize = Infinity;
  readonly #objects = new Map<string, StoredObject>();
  #changes: Change[] = [];
  #version = 100;
  #compacted = 0;
  #lists = 0;
  /** What is still to come of lists that are told in pages. */
  readonly #pages = new Map<string, { readonly rest: readonly StoredObject[]; readonly version: number }>();
  readonly #watchers = new Set<Watcher>();
  #server: Server | undefined;
  #port = 0;
  #isHeld = false;

  static async start(): Promise<ApiDouble> {
    const double = new ApiDouble();
    await double.open();
    return double;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get version(): string {
    return `${this.#version}`;
  }

  /** Every object, with its kind. */
  get objects(): readonly Manifest[] {
    return [...this.#objects.values()];
  }

  /** How many watches are open on a collection, or in all. */
  watches(path?: string): number {
    return [...this.#watchers].filter((watcher) => path === undefined || watcher.path === path).length;
  }

  /** Returns what was asked about a collection, verb by verb. */
  verbs(path: string): readonly string[] {
    return this.log.filter((request) => request.path === path).map(({ verb }) => verb);
  }

  /** Opens, on the port that it had before. */
  async open(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Closes, with every connection. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#watchers.clear();
    await new Promise((resolve) => {
      if (server === undefined) return resolve(undefined);
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Creates or replaces an object, and returns it as it is stored. */
  put(manifest: Manifest): Manifest {
    const kind = String(manifest['kind']);
    const metadata = manifest['metadata'] as Readonly<Record<string, unknown>> & { readonly name: string };
    const key = `${kind} ${keyOf(metadata)}`;
    const before = this.#objects.get(key);
    const resourceVersion = `${(this.#version += 1)}`;
    const uid = before?.metadata['uid'] ?? metadata['uid'] ?? `uid-${resourceVersion}`;
    const object = { ...manifest, metadata: { ...metadata, uid, resourceVersion } };
    this.#objects.set(key, object);
    this.#change({ type: before === undefined ? 'ADDED' : 'MODIFIED', object, before, version: this.#version });
    return object;
  }

  /** Removes an object, by its kind and key. */
  delete(kind: string, key: string): void {
    const before = this.#objects.get(`${kind} ${key}`);
    if (before === undefined) return;
    this.#objects.delete(`${kind} ${key}`);
    const resourceVersion = `${(this.#version += 1)}`;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion } };
    this.#change({ type: 'DELETED', object, before, version: this.#version });
  }

  /** Tells open watches of nothing until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const watcher of this.#watchers) for (const change of this.#changes) tell(watcher, change);
  }

  /** Is back in an earlier state, without an object, as after a backup of its store was put back; open watches hear nothing of it. */
  setBack(): void {
    this.#version = Math.floor(this.#version / 2);
    this.#objects.clear();
    this.#changes = [];
  }

  /** Forgets all changes, and pages that are not told yet. */
  compact(): void {
    this.#compacted = this.#version;
    this.#changes = [];
    this.#pages.clear();
    // What these were not told yet is lost to them.
    if (this.#isHeld) for (const watcher of this.#watchers) this.#fail(watcher, GONE);
  }

  /** Ends every watch, as a server does that has served it long enough; or breaks it off. */
  cut(how: 'cleanly' | 'broken' = 'cleanly'): void {
    for (const { response } of this.#watchers)
      if (how === 'cleanly') response.end();
      else response.destroy();
    this.#watchers.clear();
  }

  /** Changes an object, of which open watches get the beginning only: up to the middle of `within`. The answer then ends as if it were whole. */
  cutWithin(manifest: Manifest, within: string): void {
    this.hold();
    this.put(manifest);
    const line = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: manifest })}\n`);
    const end = line.indexOf(within) + Math.floor(Buffer.byteLength(within) / 2);
    for (const { response } of this.#watchers) response.end(line.subarray(0, end));
    this.#watchers.clear();
    this.release();
  }

  /** Sends an event to every watch. */
  send(type: string, object: Manifest): void {
    for (const watcher of this.#watchers) writeEvent(watcher, type, object);
  }

  /** Sends a bookmark to every watch. */
  bookmark(): void {
    for (const watcher of this.#watchers) this.#sendBookmark(watcher, {});
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(request.url ?? '', this.url);
    const text = Buffer.concat(chunks).toString();
    const logged: LoggedRequest = {
      verb: verbOf(request.method ?? '', url),
      path: url.pathname,
      query: url.searchParams,
      token: request.headers.authorization?.replace(/^Bearer /, ''),
      body: text === '' ? undefined : (JSON.parse(text) as Manifest),
    };
    this.log.push(logged);
    this.onRequest(logged);
    if (this.hangs) return;
    const refusal = this.#refusalOf(logged);
    if (refusal === undefined) this.#answer(logged, response);
    else refuse(response, refusal);
  }

  #refusalOf(request: LoggedRequest): Refusal | undefined {
    if (this.token !== undefined && request.token !== this.token) return { code: 401, message: 'Unauthorized' };
    return this.refuse(request);
  }

  #answer(request: LoggedRequest, response: ServerResponse): void {
    switch (request.verb) {
      case 'list':
      case 'page':
        return this.#list(request, response);
      case 'stream':
        return this.#stream(request, response);
      case 'watch':
        return this.#watch(request, response);
      case 'GET': {
        const object = this.#objects.get(keyOfPath(request.path));
        return object === undefined ? notFound(response, request.path) : answer(response, 200, object);
      }
      default:
        return this.#write(request, response);
    }
  }

  #list({ path, query }: LoggedRequest, response: ServerResponse): void {
    const from = query.get('continue');
    const page = from === null ? { rest: this.#in(path, query), version: this.#version } : this.#pages.get(from);
    if (page === undefined)
      return refuse(response, { code: 410, message: 'The provided continue parameter is too old' });
    const size = Math.min(Number(query.get('limit') ?? Infinity), this.pageSize);
    const rest = page.rest.slice(size);
    const token = rest.length === 0 ? undefined : `list-${(this.#lists += 1)}`;
    if (token !== undefined) this.#pages.set(token, { rest, version: page.version });
    answer(response, 200, {
      kind: 'SomeList',
      apiVersion: 'v1',
      metadata: { resourceVersion: `${page.version}`, ...(token !== undefined && { continue: token }) },
      // A typed list tells the kind once.
      items: page.rest.slice(0, size).map((item) => ({ ...item, kind: undefined, apiVersion: undefined })),
    });
  }

  #stream({ path, query }: LoggedRequest, response: ServerResponse): void {
    if (this.streaming === 'refused')
      return refuse(response, { code: 422, message: 'sendInitialEvents: Forbidden: it is forbidden for watch' });
    const watcher = this.#begin({ path, query, response, version: this.#version });
    if (this.streaming === 'refusedLater') return this.#fail(watcher, { code: 500, message: 'etcd is too old' });
    const objects = this.#in(path, query);
    if (objects.length > PIECE) return void this.#streamLarge(watcher, objects);
    for (const object of objects) writeEvent(watcher, 'ADDED', object);
    if (this.streaming === 'ends') this.#end(watcher);
    if (this.streaming !== 'supported') return;
    this.#sendBookmark(watcher, { annotations: { 'k8s.io/initial-events-end': 'true' } });
    if (this.endsWatches) this.#end(watcher);
  }

  /** Tells 100,000 objects as fast as they are read; what changes meanwhile is told after them. */
  async #streamLarge(watcher: Watcher, objects: readonly StoredObject[]): Promise<void> {
    this.#watchers.delete(watcher);
    const { response } = watcher;
    for (let at = 0; at < objects.length && !response.destroyed; at += PIECE) {
      const events = objects.slice(at, at + PIECE).map((object) => eventText('ADDED', object));
      if (!response.write(events.join(''))) await new Promise((resolve) => response.once('drain', resolve));
    }
    if (response.destroyed) return;
    this.#watchers.add(watcher);
    for (const change of this.#changes) tell(watcher, change);
    this.#sendBookmark(watcher, { annotations: { 'k8s.io/initial-events-end': 'true' } });
  }

  #watch({ path, query }: LoggedRequest, response: ServerResponse): void {
    const version = Number(query.get('resourceVersion'));
    const isGone = version < this.#compacted;
    if (isGone && this.goneAs === 'status') return refuse(response, GONE);
    const watcher = this.#begin({ path, query, response, version });
    if (isGone) return this.#fail(watcher, GONE);
    for (const change of this.#changes) tell(watcher, change);
    if (this.endsWatches) this.#end(watcher);
  }

  #begin(watcher: Watcher): Watcher {
    watcher.response.writeHead(200, { 'content-type': 'application/json' });
    watcher.response.flushHeaders();
    this.#watchers.add(watcher);
    watcher.response.once('close', () => this.#watchers.delete(watcher));
    return watcher;
  }

  #fail(watcher: Watcher, refusal: Refusal): void {
    writeEvent(watcher, 'ERROR', statusOf(refusal));
    this.#end(watcher);
  }

  #end(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    watcher.response.end();
  }

  #sendBookmark(watcher: Watcher, metadata: Manifest): void {
    const resourceVersion = `${this.#version}`;
    writeEvent(watcher, 'BOOKMARK', { kind: 'Some', apiVersion: 'v1', metadata: { resourceVersion, ...metadata } });
  }

  #change(change: Change): void {
    this.#changes.push(change);
    if (this.#isHeld) return;
    for (const watcher of this.#watchers) tell(watcher, change);
  }

  #in(path: string, query: URLSearchParams): readonly StoredObject[] {
    return [...this.#objects.values()].filter((object) => isIn(object, { path, query }));
  }

  #write({ verb, path, body = {} }: LoggedRequest, response: ServerResponse): void {
    const [, namespace] = /\/namespaces\/([^/]+)\//.exec(path) ?? [];
    if (namespace !== undefined && !this.#objects.has(`Namespace ${namespace}`)) return notFound(response, namespace);
    const key = `${String(body['kind'])} ${keyOf(body['metadata'] as Manifest)}`;
    const isThere = this.#objects.has(key);
    if (verb === 'PUT' && !isThere) return notFound(response, key);
    if (verb === 'POST' && isThere) return refuse(response, { code: 409, message: `${key} already exists` });
    answer(response, verb === 'PUT' ? 200 : 201, this.put(body));
  }
}

/** A connection without credentials. `patience` shortens how long the body of an answer may pause. */
export function connectionTo(api: ApiDouble, { patience = 1, token = '' } = {}): ApiConnection {
  const credentials: Credentials = {
    apply: async (options) => {
      options.agent = false;
      options.headers = {
        ...(options.headers as Record<string, string>),
        ...(token !== '' && { authorization: `Bearer ${token}` }),
      };
    },
    refresh: () => {},
  };
  return new (class extends ApiConnection {
    override async send(request: Parameters<ApiConnection['send']>[0]): Promise<IncomingMessage> {
      return super.send({ ...request, silenceMs: request.silenceMs * patience });
    }
  })(api.url, credentials);
}

/** Resolves once it holds; the test's own timeout tells that it never did. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(2);
}

function verbOf(method: string, { pathname, searchParams }: URL): string {
  if (method !== 'GET' || keyOfPath(pathname).startsWith('Pod ')) return method;
  if (searchParams.get('watch') === 'true') return searchParams.has('sendInitialEvents') ? 'stream' : 'watch';
  return searchParams.has('continue') ? 'page' : 'list';
}

/** Returns the key of the one pod that a path names, '' if it names none. */
function keyOfPath(path: string): string {
  const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(path) ?? [];
  return name === undefined ? '' : `Pod ${namespace}/${name}`;
}

function keyOf(metadata: Manifest): string {
  const { namespace, name } = metadata;
  return typeof namespace === 'string' ? `${namespace}/${String(name)}` : String(name);
}

function isIn(
  { kind, metadata, ...others }: Manifest,
  { path, query }: { readonly path: string; readonly query: URLSearchParams },
): boolean {
  const { namespace, labels } = metadata as { readonly namespace?: string; readonly labels?: LabelsManifest };
  const collection = COLLECTIONS[String(kind)]?.path;
  const isHere = path === collection || path === collection?.replace('/v1/', `/v1/namespaces/${namespace}/`);
  if (!isHere) return false;
  const { nodeName = '' } = (others['spec'] ?? {}) as { readonly nodeName?: string };
  return (
    labelSelectorSelects(query.get('labelSelector') ?? '', labels ?? {}) &&
    fieldSelectorSelects(query.get('fieldSelector') ?? '', { 'spec.nodeName': nodeName })
  );
}

/** What comes into view is added there, and what goes out of view deleted, whatever else it does. */
function tell(watcher: Watcher, { type, object, before, version }: Change): void {
  if (version <= watcher.version) return;
  const was = before !== undefined && isIn(before, watcher);
  const is = type !== 'DELETED' && isIn(object, watcher);
  if (!was && !is) return;
  watcher.version = version;
  const { resourceVersion } = object.metadata;
  if (is) return writeEvent(watcher, was ? 'MODIFIED' : 'ADDED', object);
  writeEvent(
    watcher,
    'DELETED',
    before === undefined ? object : { ...before, metadata: { ...before.metadata, resourceVersion } },
  );
}

function writeEvent({ response }: Watcher, type: string, object: Manifest): void {
  response.write(eventText(type, object));
}

function eventText(type: string, object: Manifest): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function answer(response: ServerResponse, code: number, body: Manifest): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function notFound(response: ServerResponse, what: string): void {
  refuse(response, { code: 404, message: `${what} not found` });
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  if (refusal.retryAfter !== undefined) response.setHeader('retry-after', refusal.retryAfter);
  answer(response, refusal.code, statusOf(refusal));
}

function statusOf({ code, message = '' }: Refusal): Manifest {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code };
}
