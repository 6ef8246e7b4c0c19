import { request, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isLoopback, isOwnName } from '../../src/agent/hostNames.ts';
import { refuseRemote, serveLivePage, type LivePage } from '../../src/agent/livePage.ts';
import { LiveSnapshot } from '../../src/agent/liveSnapshot.ts';
import { liveFromJson } from '../../src/page/pageData.ts';
import type { SourceState } from '../../src/source/source.ts';
import { clusterOf, pod } from '../helpers/manifests.ts';

const ASSET = { script: 'run()', style: 'p{}', scriptHash: 'sha256-AAAA', styleHash: 'sha256-BBBB' };
const NOTHING_WRONG = { problems: [], away: undefined };

let state: SourceState;
let asked: number;
let page: LivePage;

beforeEach(async () => {
  asked = 0;
  state = { inSync: true, cluster: clusterOf([pod('shop/web', {})]), ...NOTHING_WRONG };
  page = await serveLivePage(
    { address: { host: '127.0.0.1', port: 0 }, asset: ASSET, isPartial: true },
    {
      nodeName: 'node-1',
      sourceName: 'kube:https://api',
      state: () => {
        asked += 1;
        return state;
      },
    },
  );
});
afterEach(() => page.close());

interface Answer {
  readonly code: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(
  path: string,
  options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...page.address, path, agent: false, ...options }, (response) => {
      text(response).then((body) => resolve({ code: response.statusCode, headers: response.headers, body }), reject);
    });
    sent.on('error', reject).end();
  });
}

test('the page and what it shows, with headers that let nothing else in', async () => {
  const { code, headers, body } = await ask('/');
  expect(code).toBe(200);
  expect(body).toContain('<script type="module">run()</script>');
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy':
      "default-src 'none'; script-src 'sha256-AAAA'; style-src 'sha256-BBBB'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-resource-policy': 'same-origin',
  });
  const cluster = await ask('/cluster');
  expect(cluster.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
  expect(liveFromJson(JSON.parse(cluster.body))).toMatchObject({ node: 'node-1', isPartial: true, away: null });
});

test.for(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is refused: there is nothing to change', async (method) => {
  const { code, headers } = await ask('/cluster', { method });
  expect([code, headers.allow]).toEqual([405, 'GET, HEAD']);
  expect(asked).toBe(0);
});

test('HEAD is GET without the body, and other paths are nothing', async () => {
  const head = await ask('/cluster', { method: 'HEAD' });
  expect([head.code, head.body]).toEqual([200, '']);
  expect(head.headers['content-length']).toBe(`${(await ask('/cluster')).body.length}`);
  expect((await ask('/../etc/passwd')).code).toBe(404);
});

test('who comes by the name of a site of his own gets nothing', async () => {
  for (const path of ['/', '/cluster'])
    expect((await ask(path, { headers: { host: 'rebound.example:80' } })).code).toBe(421);
  expect(asked).toBe(0);
  expect((await ask('/', { headers: { host: 'localhost:9' } })).code).toBe(200);
});

test('as long as nothing changes there is nothing new to send, and nothing is computed', async () => {
  const first = await ask('/cluster');
  const etag = first.headers.etag ?? '';
  const again = await ask('/cluster', { headers: { 'if-none-match': etag } });
  expect([again.code, again.body]).toEqual([304, '']);
  // Twice whether it is in sync, once what it holds.
  expect(asked).toBe(3);
  page.changed();
  state = { ...state, cluster: clusterOf([]) };
  await setTimeout(1100);
  const later = await ask('/cluster', { headers: { 'if-none-match': etag } });
  expect(later.code).toBe(200);
  expect(liveFromJson(JSON.parse(later.body))?.snapshot.before.pods.size).toBe(0);
});

test('before the source has listed everything, and when something is wrong, that is said', async () => {
  state = { ...state, inSync: false };
  expect((await ask('/cluster')).code).toBe(503);
  state = {
    inSync: true,
    get cluster(): never {
      throw new Error('lost');
    },
    ...NOTHING_WRONG,
  };
  expect(await ask('/cluster')).toMatchObject({ code: 500, body: 'The agent cannot tell what it knows\n' });
});

describe('a body', () => {
  test('is made once for all who ask, at most once a second, and not for nobody', async () => {
    let made = 0;
    const snapshot = new LiveSnapshot(() => [`${(made += 1)}`, 'x']);
    snapshot.changed();
    expect(made).toBe(0);
    const bodies = await Promise.all([snapshot.body(), snapshot.body(), snapshot.body()]);
    expect(bodies.map(({ body }) => body.toString())).toEqual(['1x', '1x', '1x']);
    snapshot.changed();
    expect((await snapshot.body()).tag).toBe(bodies[0]?.tag);
    await setTimeout(1050);
    expect((await snapshot.body()).body.toString()).toBe('2x');
  });

  test('is let go of when nobody asks any more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let made = 0;
      const snapshot = new LiveSnapshot(() => [`${(made += 1)}`]);
      await snapshot.body();
      vi.advanceTimersByTime(29_000);
      await snapshot.body();
      vi.advanceTimersByTime(29_000);
      await snapshot.body();
      expect(made).toBe(1);
      vi.advanceTimersByTime(31_000);
      await snapshot.body();
      expect(made).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is made in portions, with other work in between', async () => {
    const order: string[] = [];
    const snapshot = new LiveSnapshot(function* () {
      for (const name of ['a', 'b', 'c']) {
        order.push(name);
        yield name;
      }
    });
    const body = snapshot.body();
    setImmediate(() => order.push('other work'));
    await body;
    expect(order.indexOf('other work')).toBeLessThan(order.indexOf('c'));
  });

  test('that changed while it was made is made again', async () => {
    const snapshot = new LiveSnapshot(function* () {
      yield 'a';
      snapshot.changed();
    });
    const first = await snapshot.body();
    await setTimeout(1050);
    expect((await snapshot.body()).tag).not.toBe(first.tag);
  });
});

test.for([
  { host: 'localhost', is: true },
  { host: 'LocalHost', is: true },
  { host: '127.0.0.1', is: true },
  { host: '127.8.9.10', is: true },
  { host: '::1', is: true },
  { host: '0:0:0:0:0:0:0:1', is: true },
  { host: '::', is: false },
  { host: '0.0.0.0', is: false },
  { host: '::ffff:127.0.0.1', is: false },
  { host: '127.0.0.1.example', is: false },
  { host: 'localhost.example', is: false },
  { host: '10.0.0.1', is: false },
])('$host: reached from this machine alone: $is', ({ host, is }) => {
  expect(isLoopback(host)).toBe(is);
});

test.for([
  { header: '127.0.0.1:9474', host: '127.0.0.1', is: true },
  { header: '[::1]:9474', host: '127.0.0.1', is: true },
  { header: 'node-1:9474', host: 'node-1', is: true },
  { header: 'NODE-1', host: 'node-1', is: true },
  { header: '192.168.0.1:9474', host: '::', is: true },
  { header: '[fd00::1]', host: '0.0.0.0', is: true },
  { header: '192.168.0.1', host: '127.0.0.1', is: false },
  { header: 'evil.example', host: '0.0.0.0', is: false },
  { header: 'evil.example', host: '127.0.0.1', is: false },
  { header: '127.0.0.1.evil.example', host: '127.0.0.1', is: false },
  { header: 'localhost@evil.example', host: '127.0.0.1', is: false },
  { header: '', host: '127.0.0.1', is: false },
  { header: undefined, host: '127.0.0.1', is: false },
])('"$header" is a name of what listens at $host: $is', ({ header, host, is }) => {
  expect(isOwnName(header, { host })).toBe(is);
});

test('an address that others reach is refused, unless somebody says that they may', () => {
  const address = { host: '0.0.0.0', port: 9474 };
  expect(() => refuseRemote(address, { allowRemote: false })).toThrow('add --ui-allow-remote if they may');
  expect(() => refuseRemote(address, { allowRemote: true })).not.toThrow();
  expect(() => refuseRemote({ host: 'localhost', port: 1 }, { allowRemote: false })).not.toThrow();
});
