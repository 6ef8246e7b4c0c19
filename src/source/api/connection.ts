import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps, type RequestOptions } from 'node:https';
import { printable } from '../../net/quote.ts';

/** How long a peer may be quiet on a connection before the kernel asks for it, once a second from then on. */
const KEEP_ALIVE_MS = 5000;
/** How long the headers of an answer may take. */
const ANSWER_MS = 15_000;
/** A message of the API server that is longer tells nobody more. */
const MOST_ERROR_BYTES = 64 * 1024;
/** A server that asks for more patience is asked again all the same. */
const MOST_RETRY_AFTER_S = 60;

/** What authenticates requests, and how they reach the server. */
export interface Credentials {
  /** Adds certificates, token and proxy to a request. */
  readonly apply: (options: RequestOptions) => Promise<void>;
  /** Reads them anew: the server does not know them any more. Throws when that cannot be done. */
  readonly refresh: () => void;
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT';
  /** The path with its query. */
  readonly path: string;
  readonly body?: unknown;
  /** How long the body may pause. Milliseconds. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** The API server refused a request, or ended a watch with a Status. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** The HTTP status code. */
  readonly code: number;
  /** How long to wait before the next try, when the server says so. Milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(code: number, message: string, retryAfterMs?: number) {
    super(printable(`${code} ${message}`.trim()));
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The API server said nothing for too long. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';
}

/** One API server. */
export class ApiConnection {
  /** `https://host:port`, with the path that a proxy may want before the API's own. */
  readonly server: string;
  readonly #credentials: Credentials;

  constructor(server: string, credentials: Credentials) {
    this.server = server.replace(/\/+$/, '');
    this.#credentials = credentials;
  }

  /**
   * Sends a request and returns the answer as soon as its headers are there, the body still to come. Throws an ApiError for a refusal, else what
   * kept the network from answering.
   */
  async send(request: ApiRequest): Promise<IncomingMessage> {
    const response = await this.#answer(request);
    limitSilence(response, request.silenceMs);
    const code = response.statusCode ?? 0;
    if (code >= 200 && code <= 299) return response;
    const error = await refusal(response, code);
    if (code === 401) this.#credentials.refresh();
    throw error;
  }

  /** Sends a request and returns the object that it is answered with. Throws as `send` does. */
  async json(request: ApiRequest): Promise<unknown> {
    return JSON.parse(await textOf(await this.send(request))) as unknown;
  }

  async #answer({ method = 'GET', path, body, signal }: ApiRequest): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = { method, signal, headers: headersFor(text) };
    await this.#credentials.apply(options);
    const url = new URL(this.server + path);
    const send = url.protocol === 'http:' ? requestHttp : requestHttps;
    return new Promise((resolve, reject) => {
      const request = send(url, options, resolve);
      const late = setTimeout(
        () => request.destroy(new SilenceError(`no answer for ${ANSWER_MS / 1000} s`)),
        ANSWER_MS,
      );
      for (const event of ['response', 'close']) request.on(event, () => clearTimeout(late));
      request.on('error', reject);
      request.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
      request.end(text);
    });
  }
}

/** Gives an answer up when it pauses for so long. Milliseconds; the last call counts. */
export function limitSilence(response: IncomingMessage, milliseconds: number): void {
  response.socket.removeAllListeners('timeout');
  response.socket.setTimeout(milliseconds, () =>
    response.destroy(new SilenceError(`not a word for ${milliseconds / 1000} s`)),
  );
}

function headersFor(text: string | undefined): Record<string, string> {
  const always = { accept: 'application/json', 'user-agent': 'kube-nwplcy' };
  if (text === undefined) return always;
  return { ...always, 'content-type': 'application/json', 'content-length': `${Buffer.byteLength(text)}` };
}

async function refusal(response: IncomingMessage, code: number): Promise<ApiError> {
  const text = await textOf(response, MOST_ERROR_BYTES).catch(() => '');
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
  return new ApiError(
    code,
    statusMessage(text) ?? response.statusMessage ?? '',
    seconds > 0 ? Math.min(seconds, MOST_RETRY_AFTER_S) * 1000 : undefined,
  );
}

/** Returns the message of a Status object (meta/v1). */
function statusMessage(text: string): string | undefined {
  try {
    const status = JSON.parse(text) as { readonly message?: unknown } | null;
    return typeof status?.message === 'string' ? status.message : undefined;
  } catch {
    return undefined;
  }
}

async function textOf(response: IncomingMessage, mostBytes = Infinity): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > mostBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
