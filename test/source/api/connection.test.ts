import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiConnection, ApiError, limitSilence, type Credentials } from '../../../src/source/api/connection.ts';
import { ApiDouble, connectionTo, until } from '../../helpers/apiDouble.ts';
import { pod } from '../../helpers/manifests.ts';

let api: ApiDouble;

beforeEach(async () => {
  api = await ApiDouble.start();
});
afterEach(() => api.close());

function get(connection: ApiConnection, silenceMs = 5000): Promise<unknown> {
  return connection.json({ path: '/api/v1/pods', silenceMs, signal: new AbortController().signal });
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'none',
    (error: unknown) =>
      error instanceof ApiError
        ? { message: error.message, code: error.code, retryAfterMs: error.retryAfterMs }
        : String(error),
  );
}

describe('a refusal', () => {
  test.for([
    [{ code: 403, message: 'pods is forbidden' }, '403 pods is forbidden', undefined],
    [{ code: 503 }, '503', undefined],
    [{ code: 429, message: 'busy', retryAfter: '3' }, '429 busy', 3000],
    [{ code: 429, message: 'busy', retryAfter: '999999999999' }, '429 busy', 60_000],
    [{ code: 429, message: 'busy', retryAfter: '-1' }, '429 busy', undefined],
    [{ code: 429, message: 'busy', retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT' }, '429 busy', undefined],
    [{ code: 302, message: 'elsewhere' }, '302 elsewhere', undefined],
  ] as const)('%j has the code and what the Status says', async ([refusal, message, retryAfterMs]) => {
    api.refuse = () => refusal;
    expect(await failure(get(connectionTo(api)))).toEqual({ message, code: refusal.code, retryAfterMs });
  });

  test.for([
    ['<html>', '502 Bad Gateway'],
    ['null', '502 Bad Gateway'],
    ['{"message": 5}', '502 Bad Gateway'],
  ] as const)('by somebody who sends no Status has the HTTP reason', async ([body, message]) => {
    await using other = await Other.start(body);
    const connection = new ApiConnection(other.url, { apply: async () => {}, refresh: () => {} });
    expect(await failure(get(connection))).toEqual({ message, code: 502, retryAfterMs: undefined });
  });

  test('is as long as people read, and moves no cursor', async () => {
    api.refuse = () => ({ code: 500, message: `\u001B[2J${'x'.repeat(1_000_000)}` });
    expect(await failure(get(connectionTo(api)))).toMatchObject({ message: '500 Internal Server Error' });
    api.refuse = () => ({ code: 500, message: `\u001B[2J${'x'.repeat(1000)}` });
    expect(await failure(get(connectionTo(api)))).toMatchObject({ message: `500 \\u{1b}[2J${'x'.repeat(492)}…` });
  });

  test('is not what a server gives that is not there', async () => {
    await api.close();
    expect(await failure(get(connectionTo(api)))).toMatch(/^Error: connect ECONNREFUSED/);
  });
});

describe('credentials', () => {
  test('are read anew once the server does not know them, and used from then on', async () => {
    api.token = 'new';
    let token = 'old';
    const credentials: Credentials = {
      apply: async (options) => {
        options.headers = { ...(options.headers as Record<string, string>), authorization: `Bearer ${token}` };
      },
      refresh: () => (token = 'new'),
    };
    const connection = new ApiConnection(api.url, credentials);
    expect(await failure(get(connection))).toMatchObject({ code: 401 });
    expect(await failure(get(connection))).toBe('none');
    expect(api.log.map(({ token: used }) => used)).toEqual(['old', 'new']);
  });

  test('that cannot be read anew say so, and the answer is not left open', async () => {
    api.token = 'new';
    const before = sockets();
    const refresh = () => {
      throw new Error('Cannot use the kubeconfig');
    };
    const apply: Credentials['apply'] = async (options) => {
      options.agent = false;
    };
    const connection = new ApiConnection(api.url, { apply, refresh });
    expect(await failure(get(connection))).toBe('Error: Cannot use the kubeconfig');
    await until(() => sockets() === before);
  });
});

describe('an answer', () => {
  test('that does not begin is given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      api.hangs = true;
      const failed = failure(get(connectionTo(api)));
      await until(() => api.log.length === 1);
      await vi.advanceTimersByTimeAsync(15_000);
      expect(await failed).toBe('SilenceError: no answer for 15 s');
    } finally {
      vi.useRealTimers();
    }
  });

  test('that pauses for too long is given up, one that goes on is not', async () => {
    await using other = await Other.start('', (write) => {
      let left = 4;
      const timer = setInterval(() => ((left -= 1) > 0 ? write('[') : clearInterval(timer)), 100);
    });
    const connection = new ApiConnection(other.url, { apply: async () => {}, refresh: () => {} });
    const started = performance.now();
    expect(await failure(get(connection, 250))).toBe('SilenceError: not a word for 0.25 s');
    expect(performance.now() - started).toBeGreaterThan(540);
  });

  test('that took its time does not shorten what the next one has', async () => {
    // With a pool of connections the first's limit would be there for the second.
    api.put(pod('shop/a', {}));
    const connection = connectionTo(api);
    await get(connection, 200);
    const response = await connection.send({
      path: '/api/v1/pods?watch=true&resourceVersion=100',
      silenceMs: 5000,
      signal: new AbortController().signal,
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    response.once('error', (error) => resolve(error.message));
    setTimeout(() => resolve('still there'), 260);
    expect(await promise).toBe('still there');
    response.destroy();
  });
});

test('the last limit to silence counts', async () => {
  const response = await connectionTo(api).send({
    path: '/api/v1/pods?watch=true&resourceVersion=100',
    silenceMs: 50,
    signal: new AbortController().signal,
  });
  limitSilence(response, 150);
  await expect(response.toArray()).rejects.toThrow('not a word for 0.15 s');
});

test('a path that a proxy wants comes before the path of the API', async () => {
  const connection = new ApiConnection(`${api.url}/k8s/clusters/c-1/`, { apply: async () => {}, refresh: () => {} });
  await failure(get(connection));
  expect(api.log.map(({ path }) => path)).toEqual(['/k8s/clusters/c-1/api/v1/pods']);
});

function sockets(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;
}

/** A server of HTTP that is no API server: it answers 502 with a text, or 200 with what is written. */
class Other implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(body: string, writes?: (write: (text: string) => void) => void): Promise<Other> {
    const server = createServer((_, response) => {
      if (writes === undefined) response.writeHead(502).end(body);
      else {
        response.writeHead(200).flushHeaders();
        writes((text) => void response.write(text));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Other(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
