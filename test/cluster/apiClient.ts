import { request } from 'node:https';
import type { Manifest } from '../lab/manifests.ts';

/** An object as the API server gives it. */
export interface ApiObject extends Manifest {
  readonly metadata: Manifest['metadata'] & { readonly uid: string; readonly resourceVersion: string };
}

/** What an object is found by. */
export type ObjectName = Pick<Manifest, 'apiVersion' | 'kind' | 'metadata'>;

/** An answer other than 2xx. */
export class ApiError extends Error {
  readonly status: number;

  constructor(what: string, { status, text }: { readonly status: number; readonly text: string }) {
    super(`Cannot ${what}: the API server answered ${status}: ${text}`);
    this.status = status;
  }
}

export interface ApiAccess {
  /** The unix socket behind which the API server is. */
  readonly socketPath: string;
  /** The certificate of its CA, once there is one. */
  readonly ca: () => string | undefined;
  readonly token: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A client of the API server, with one connection for each request: what breaks one request breaks no other. */
export class ApiClient {
  readonly #access: ApiAccess;

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  /** Returns the same API server for whom another token names. */
  withToken(token: string): ApiClient {
    return new ApiClient({ ...this.#access, token });
  }

  /** Returns the same rights at another API server. */
  through(socketPath: string): ApiClient {
    return new ApiClient({ ...this.#access, socketPath });
  }

  /** Makes the object or, if it is there, replaces it. */
  async apply(object: Manifest): Promise<ApiObject> {
    try {
      return await this.create(object);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error;
      return (await this.request('PUT', pathOf(object), object)) as ApiObject;
    }
  }

  async create(object: Manifest): Promise<ApiObject> {
    return (await this.request('POST', collectionOf(object), object)) as ApiObject;
  }

  async get(object: ObjectName): Promise<ApiObject> {
    return (await this.request('GET', pathOf(object))) as ApiObject;
  }

  /** Returns the objects of a kind of all namespaces, with their kind, which the API server leaves out in lists. */
  async list({ apiVersion, kind }: Pick<Manifest, 'apiVersion' | 'kind'>): Promise<readonly ApiObject[]> {
    const { items } = (await this.request('GET', `${prefixOf(apiVersion)}/${pluralOf(kind)}`)) as {
      readonly items: readonly Omit<ApiObject, 'apiVersion' | 'kind'>[];
    };
    return items.map((item) => ({ ...item, apiVersion, kind }) as ApiObject);
  }

  /** Changes what a merge patch (RFC 7386) names, in the object or in a subresource such as `status`. */
  async patch(object: ObjectName, patch: Readonly<Record<string, unknown>>, subresource = ''): Promise<ApiObject> {
    const path = subresource === '' ? pathOf(object) : `${pathOf(object)}/${subresource}`;
    return (await this.request('PATCH', path, patch)) as ApiObject;
  }

  /** Removes the object at once, without grace; nothing happens if there is none. */
  async delete(object: ObjectName): Promise<void> {
    try {
      await this.request('DELETE', pathOf(object), { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      return;
    }
    // There is no controller that empties a namespace.
    if (object.kind === 'Namespace')
      await this.request('PUT', `${pathOf(object)}/finalize`, { ...object, spec: { finalizers: [] } });
  }

  /** Returns what the API server answers; throws an `ApiError` if that is not 2xx. */
  async request(method: Method, path: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#send(method, path, body);
    if (status < 200 || status > 299) throw new ApiError(`${method} ${path}`, { status, text });
    return text.startsWith('{') ? JSON.parse(text) : text;
  }

  async #send(method: Method, path: string, body: object | undefined): Promise<{ status: number; text: string }> {
    const { socketPath, ca, token } = this.#access;
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const content = body === undefined ? undefined : JSON.stringify(body);
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const sent = request({
      socketPath,
      method,
      path,
      ca: ca(),
      // One of the names in the API server's certificate: a socket has no host.
      servername: 'kubernetes',
      agent: false,
      timeout: 30_000,
      headers: {
        authorization: `Bearer ${token}`,
        // Node gives the body of a DELETE no length by itself.
        ...(content !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(content) }),
      },
    });
    sent.on('timeout', () => sent.destroy(new Error(`Cannot ${method} ${path}: no answer within 30 s`)));
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.end(content);
    return promise;
  }
}

function pathOf(object: ObjectName): string {
  return `${collectionOf(object)}/${object.metadata.name}`;
}

function collectionOf({ apiVersion, kind, metadata: { namespace } }: ObjectName): string {
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${prefixOf(apiVersion)}${scope}/${pluralOf(kind)}`;
}

function prefixOf(apiVersion: string): string {
  return apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
}

function pluralOf(kind: string): string {
  return `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
}
