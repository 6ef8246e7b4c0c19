import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { metaOf, type JsonObject } from '../../../src/source/api/apiObject.ts';
import { Backoff } from '../../../src/source/api/backoff.ts';
import { ListWatch, type ListWatchOptions } from '../../../src/source/api/listWatch.ts';
import { ApiDouble, connectionTo, until, type LoggedRequest, type Streaming } from '../../helpers/apiDouble.ts';
import { pod } from '../../helpers/manifests.ts';

const PODS = '/api/v1/pods';

/** What the tests keep of a pod. */
interface Kept {
  readonly name: string;
  readonly app: string;
}

let api: ApiDouble;
let pods: ListWatch<Kept>;
/** What was known at each change: `name=app`, sorted. */
let seen: string[];
/** Why it could not be followed, at each change. */
let failures: string[];

beforeEach(async () => {
  api = await ApiDouble.start();
  seen = [];
  failures = [];
});
afterEach(async () => {
  await pods.stop();
  await api.close();
  vi.restoreAllMocks();
});

function follow(options: Partial<ListWatchOptions<Kept>> & { readonly patience?: number } = {}): ListWatch<Kept> {
  pods = new ListWatch<Kept>({
    connection: connectionTo(api, options),
    path: PODS,
    decode,
    ...options,
    onChange: () => {
      seen.push(known());
      if (pods.failure !== undefined) failures.push(pods.failure.reason);
    },
  });
  pods.start();
  return pods;
}

function decode(object: JsonObject): Kept | undefined {
  const { labels } = object['metadata'] as { readonly labels?: { readonly app?: string } };
  return labels?.app === 'left-out' ? undefined : { name: metaOf(object).name, app: labels?.app ?? '' };
}

function put(name: string, app = 'x'): JsonObject {
  return api.put(pod(`shop/${name}`, { labels: { app } }));
}

function known(): string {
  return [...pods.objects.values()]
    .map(({ name, app }) => `${name}=${app}`)
    .sort()
    .join(' ');
}

/** Follows the collection until it is listed and watched. */
async function synced(options: Parameters<typeof follow>[0] = {}): Promise<void> {
  follow(options);
  await until(() => pods.isSynced && api.watches() === 1);
}

/** The same, with a watch of its own that may be silent for 90 ms. */
async function syncedByWatch(): Promise<void> {
  await synced({ patience: 0.001 });
  api.cut();
  await until(() => api.verbs(PODS).includes('watch') && pods.failure === undefined);
  failures.length = 0;
}

describe('a first list', () => {
  test.for<Streaming>(['supported', 'refused', 'refusedLater', 'ends'])(
    'is whole at once, where streaming it is: %s',
    async (streaming) => {
      api.streaming = streaming;
      for (const name of ['a', 'b', 'c']) put(name);
      api.pageSize = 2;
      await synced();
      expect(seen).toEqual(['a=x b=x c=x']);
      expect(api.verbs(PODS)).toEqual(streaming === 'supported' ? ['stream'] : ['stream', 'list', 'page', 'watch']);
      put('d');
      await until(() => known() === 'a=x b=x c=x d=x');
      expect(pods.failure).toBeUndefined();
    },
  );

  test('is told in pages where the stream of it falls silent before its end', async () => {
    api.streaming = 'neverEnds';
    put('a');
    await synced({ patience: 0.002 });
    expect(known()).toBe('a=x');
    expect(api.verbs(PODS).slice(0, 2)).toEqual(['stream', 'list']);
  });

  test('is told in pages where the stream of it goes on without an end, as from a server that does not know how', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      api.streaming = 'neverEnds';
      put('a');
      follow();
      await until(() => api.watches() === 1);
      put('a', 'y');
      // The timer is set once the headers have come.
      await until(() => vi.getTimerCount() === 1);
      await vi.advanceTimersByTimeAsync(60_000);
      await until(() => pods.isSynced);
      expect(known()).toBe('a=y');
    } finally {
      vi.useRealTimers();
    }
  });

  test('ends with its stream, which may then be silent as long as a watch', async () => {
    await synced({ patience: 0.005 });
    await pause(300);
    expect(api.verbs(PODS)).toEqual(['stream']);
    expect(failures).toEqual([]);
  });

  test('takes what changes while it is streamed', async () => {
    api.streaming = 'neverEnds';
    for (const name of ['gone', 'changed']) put(name);
    follow();
    await until(() => api.watches() === 1);
    api.delete('Pod', 'shop/gone');
    put('changed', 'y');
    api.bookmark();
    api.send('BOOKMARK', {
      metadata: { resourceVersion: api.version, annotations: { 'k8s.io/initial-events-end': 'true' } },
    });
    await until(() => pods.isSynced);
    expect(seen).toEqual(['changed=y']);
  });

  test('asks for streams no more where they were refused once', async () => {
    api.streaming = 'refused';
    await synced();
    await pods.relist();
    expect(api.verbs(PODS).filter((verb) => verb === 'stream')).toHaveLength(1);
  });

  test('begins anew when its next page has expired', async () => {
    api.streaming = 'refused';
    api.pageSize = 1;
    for (const name of ['a', 'b']) put(name);
    api.onRequest = ({ verb }) => {
      if (verb === 'list' && api.verbs(PODS).filter((one) => one === 'list').length === 1)
        setImmediate(() => api.compact());
    };
    await synced();
    expect(known()).toBe('a=x b=x');
  });

  test('leaves out what is not kept, and keeps strange names', async () => {
    api.put(pod('shop/__proto__', { labels: { app: 'x' } }));
    put('other', 'left-out');
    await synced();
    expect([...pods.objects.keys()]).toEqual(['shop/__proto__']);
    put('__proto__', 'left-out');
    await until(() => pods.objects.size === 0);
  });

  test.for([401, 403, 429, 503])('that is refused with %i does not mean that it cannot be streamed', async (code) => {
    let refusals = 2;
    api.refuse = () => ((refusals -= 1) >= 0 ? { code } : undefined);
    await synced();
    expect(api.verbs(PODS)).toEqual(['stream', 'stream', 'stream']);
    expect(pods.failure).toBeUndefined();
  });
});

describe('a watch', () => {
  test('tells of each change once, and of none where nothing that is kept changed', async () => {
    put('a');
    await synced();
    put('a', 'y');
    put('a', 'y');
    put('b');
    api.delete('Pod', 'shop/a');
    await until(() => known() === 'b=x');
    expect(seen).toEqual(['a=x', 'a=y', 'a=y b=x', 'b=x']);
  });

  test('goes on where it ended', async () => {
    await synced();
    put('a');
    await until(() => known() === 'a=x');
    const { version } = api;
    api.hold();
    put('b');
    api.cut();
    api.release();
    await until(() => known() === 'a=x b=x');
    const last = api.log.at(-1);
    expect([last?.verb, last?.query.get('resourceVersion')]).toEqual(['watch', version]);
    expect(api.verbs(PODS).filter((verb) => verb !== 'watch')).toEqual(['stream']);
  });

  test('goes on from a bookmark where nothing else came', async () => {
    await synced();
    api.put({ kind: 'Namespace', metadata: { name: 'other' } });
    api.bookmark();
    const { version } = api;
    api.cut();
    await until(() => api.watches() === 1);
    expect(api.log.at(-1)?.query.get('resourceVersion')).toBe(version);
  });

  test('loses nothing where it breaks off', async () => {
    await synced();
    api.cut('broken');
    put('a');
    await until(() => known() === 'a=x');
    expect(api.verbs(PODS)).toEqual(['stream', 'watch']);
  });

  test.for(['"app"', '🦆'])('loses nothing where it ends within %s', async (within) => {
    await synced();
    const manifest = pod('shop/a', { labels: { app: 'y', duck: '🦆' } });
    api.cutWithin(manifest, within);
    await until(() => known() === 'a=y');
    expect(seen).toEqual(['', 'a=y', ...seen.slice(2)]);
  });

  test('that is silent for long is begun again, with nothing amiss: nobody may have changed anything', async () => {
    await syncedByWatch();
    await until(() => api.verbs(PODS).length >= 6);
    put('a');
    await until(() => known() === 'a=x');
    expect(api.verbs(PODS).slice(0, 6)).toEqual(['stream', 'watch', 'list', 'watch', 'list', 'watch']);
    expect(failures).toEqual([]);
  });

  test('that is silent since the server is back in an earlier state is begun with a list', async () => {
    put('a');
    await syncedByWatch();
    expect(known()).toBe('a=x');
    api.setBack();
    await until(() => known() === '');
    put('b');
    await until(() => known() === 'b=x');
    expect(failures).toEqual([]);
  });

  test('of a server that is silent, and refuses to say more when it is asked, has failed', async () => {
    await syncedByWatch();
    api.refuse = ({ verb }) => (verb === 'list' ? { code: 503, message: 'not now' } : undefined);
    await until(() => failures.length > 0);
    expect(failures[0]).toBe('503 not now');
    api.refuse = () => undefined;
    await until(() => pods.failure === undefined);
  });

  test.for([
    ['an event of an unknown type', 'the server sent an event that is not known: "SOMETHING"', 'SOMETHING'],
    ['a Status without a message', '500', 'ERROR'],
  ] as const)('that tells %s is a failure and no object', async ([, reason, type]) => {
    await synced();
    api.send(type, { metadata: {} });
    await until(() => api.verbs(PODS).length > 1 && pods.failure === undefined);
    expect(failures).toEqual([reason]);
    expect(pods.objects.size).toBe(0);
  });

  test('asks the server to end it after five to ten minutes, with bookmarks', async () => {
    await synced();
    const { query } = api.log[0] as LoggedRequest;
    expect(query.get('allowWatchBookmarks')).toBe('true');
    expect(Number(query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
    expect(Number(query.get('timeoutSeconds'))).toBeLessThanOrEqual(600);
  });
});

describe('what the server has forgotten', () => {
  test.for(['status', 'event'] as const)('is listed again in one step, when it says so by its %s', async (goneAs) => {
    api.goneAs = goneAs;
    for (const name of ['stays', 'goes']) put(name);
    await synced();
    const stays = pods.objects.get('shop/stays');
    api.hold();
    api.delete('Pod', 'shop/goes');
    put('comes');
    api.compact();
    api.cut();
    api.release();
    await until(() => known() === 'comes=x stays=x');
    expect(new Set(seen)).toEqual(new Set(['goes=x stays=x', 'comes=x stays=x']));
    expect(pods.objects.get('shop/stays')).toBe(stays);
  });

  test('is listed again more and more slowly where each watch ends so', async () => {
    api.refuse = ({ verb }) => (verb === 'watch' ? { code: 410, message: 'gone' } : undefined);
    api.endsWatches = true;
    const pauses = pausesFrom(0);
    follow();
    await until(() => api.verbs(PODS).length >= 7);
    expect(api.verbs(PODS).slice(0, 4)).toEqual(['stream', 'watch', 'stream', 'watch']);
    expect(pauses().slice(0, 3).map(lengthOf)).toEqual([0, 1, 2]);
  });
});

describe('while the server is away', () => {
  test('what is known stays, and why and since when is told', async () => {
    put('a');
    await synced();
    await api.close();
    await until(() => pods.failure?.reason.includes('ECONNREFUSED') === true);
    const since = pods.failure?.since;
    const { length } = failures;
    await until(() => failures.length > length);
    expect(pods.failure?.since).toBe(since);
    expect(known()).toBe('a=x');
    expect(pods.isSynced).toBe(true);
    put('b');
    await api.open();
    await until(() => known() === 'a=x b=x');
    expect(pods.failure).toBeUndefined();
    expect(api.log.at(-1)?.verb).toBe('watch');
  });

  test.for<readonly [string, () => Promise<unknown>]>([
    ['told of a change', async () => (put('a'), until(() => known() === 'a=x'))],
    ['was watched for a while', async () => pause(1300)],
  ])('it is tried again more and more slowly, and quickly again once it %s', async ([, well]) => {
    await synced();
    const slower = pausesFrom(0);
    await api.close();
    await until(() => slower().length >= 3);
    expect(slower().slice(0, 3).map(lengthOf)).toEqual([0, 1, 2]);
    await api.open();
    await until(() => api.watches() === 1);
    await well();
    const again = pausesFrom(slower().length);
    await api.close();
    await until(() => again().length > 0);
    expect(again().slice(0, 1).map(lengthOf)).toEqual([0]);
  });

  test('no pause is longer than ten seconds', () => {
    const backoff = new Backoff();
    const pauses = Array.from({ length: 2000 }, () => backoff.next(() => 0.999_999));
    expect(Math.max(...pauses)).toBeLessThanOrEqual(10_000);
    backoff.reset();
    expect([0, 0, 0, 0].map((random) => backoff.next(() => random))).toEqual([50, 100, 200, 400]);
  });

  test('it is not asked again before it said', async () => {
    const times: number[] = [];
    api.onRequest = () => times.push(performance.now());
    api.refuse = () => (api.log.length === 1 ? { code: 429, message: 'busy', retryAfter: '0.3' } : undefined);
    await synced();
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(290);
    expect(failures).toEqual(['429 busy']);
  });

  test('who may not waits longer where that is wanted', async () => {
    const times: number[] = [];
    api.onRequest = () => times.push(performance.now());
    api.refuse = () => (api.log.length === 1 ? { code: 403, message: 'forbidden' } : undefined);
    await synced({ forbiddenMs: 500 });
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(490);
  });

  test('what it says moves no cursor and ends no line', async () => {
    api.refuse = () => (api.log.length === 1 ? { code: 503, message: 'a\nb\u001b[2J' } : undefined);
    await synced();
    expect(failures).toEqual(['503 a\\u{a}b\\u{1b}[2J']);
  });
});

describe('a server that ends each watch at once', () => {
  test.for<readonly [string, () => unknown, readonly number[]]>([
    ['without a word', () => {}, [0, 1, 2]],
    ['after a change', () => put('a', `v${api.version}`), [0, 0, 0]],
  ])('%s is not asked without a pause', async ([, change, lengths]) => {
    api.endsWatches = true;
    const pauses = pausesFrom(0);
    api.onRequest = ({ verb }) => {
      if (verb === 'watch') change();
    };
    follow();
    await until(() => api.verbs(PODS).length >= 5);
    expect(pauses().slice(0, 3).map(lengthOf)).toEqual(lengths);
    expect(new Set(failures)).toEqual(new Set(['the watch ended at once']));
  });
});

describe('relist', () => {
  test('resolves with a list that began after it', async () => {
    await synced();
    api.hold();
    put('a');
    await pods.relist();
    expect(known()).toBe('a=x');
    expect(pods.failure).toBeUndefined();
  });

  test.for([
    ['supported', 'stream'],
    ['refused', 'list'],
  ] as const)('is one list for all who ask while one is under way: streaming %s', async ([streaming, list]) => {
    api.streaming = streaming;
    await synced();
    const before = api.verbs(PODS).length;
    const resolved: string[] = [];
    let second: Promise<unknown> = Promise.resolve();
    api.onRequest = ({ verb }) => {
      if (verb !== list || second !== none) return;
      // The server has read what it will answer: this comes too late for that.
      setImmediate(() => {
        put('late');
      });
      const ask = async (name: string) => pods.relist().then(() => resolved.push(`${name}: ${known()}`));
      second = Promise.all([ask('b'), ask('c')]);
    };
    const none = second;
    await pods.relist().then(() => resolved.push(`a: ${known()}`));
    await second;
    expect(resolved).toEqual(['a: ', 'b: late=x', 'c: late=x']);
    expect(api.verbs(PODS).slice(before)).toEqual([list, list]);
  });

  test('comes to an end however often it is asked for', async () => {
    api.streaming = 'refused';
    for (const name of ['a', 'b', 'c']) put(name);
    await synced();
    const before = api.verbs(PODS).length;
    let asked = 0;
    api.pageSize = 1;
    api.onRequest = () => {
      if ((asked += 1) < 50) void pods.relist().catch(() => {});
    };
    await pods.relist();
    expect(api.verbs(PODS).slice(before, before + 3)).toEqual(['list', 'page', 'page']);
  });

  test('waits for the server to be back', async () => {
    await synced();
    await api.close();
    let isDone = false;
    const done = pods.relist().then(() => (isDone = true));
    await until(() => failures.length >= 2);
    put('a');
    expect(isDone).toBe(false);
    await api.open();
    await done;
    expect(known()).toBe('a=x');
  });

  test('tries at once, however long it would be until the next try', async () => {
    await synced();
    api.refuse = () => ({ code: 503, retryAfter: '3600' });
    api.cut();
    await until(() => failures.length > 0);
    api.refuse = () => undefined;
    await pods.relist();
    expect(pods.failure).toBeUndefined();
  });

  test('rejects when it is stopped before, or was', async () => {
    await synced();
    await api.close();
    const reason = 'Cannot list what the API server holds: it is followed no more';
    await Promise.all([expect(pods.relist()).rejects.toThrow(reason), pods.stop()]);
    await expect(pods.relist()).rejects.toThrow(reason);
  });

  test('keeps what is equal, and what is in both lists is there at every moment', async () => {
    for (const name of ['stays', 'changes', 'goes']) put(name);
    await synced();
    const { objects } = pods;
    const stays = objects.get('shop/stays');
    api.hold();
    api.delete('Pod', 'shop/goes');
    put('changes', 'y');
    await pods.relist();
    expect(seen).toEqual(['changes=x goes=x stays=x', 'changes=y stays=x']);
    expect(pods.objects.get('shop/stays')).toBe(stays);
  });
});

describe('an object that was read by itself', () => {
  test('is taken where it is newer than what the watch told', async () => {
    put('a');
    await synced();
    api.hold();
    pods.offer(put('a', 'y'));
    pods.offer(put('b'));
    expect(known()).toBe('a=y b=x');
    expect(seen).toEqual(['a=x', 'a=y', 'a=y b=x']);
    api.release();
    put('c');
    await until(() => known() === 'a=y b=x c=x');
    expect(seen).toEqual(['a=x', 'a=y', 'a=y b=x', 'a=y b=x c=x']);
  });

  test('is not taken where it is older, or was deleted meanwhile', async () => {
    const old = put('a');
    const gone = put('b');
    api.delete('Pod', 'shop/b');
    put('a', 'y');
    await synced();
    pods.offer(old);
    pods.offer(gone);
    pods.offer({ metadata: { name: 'c' } });
    expect(seen).toEqual(['a=y']);
  });

  test('is taken by number, not by text', async () => {
    await synced();
    pods.offer({ metadata: { name: 'a', resourceVersion: '99', labels: { app: 'old' } } });
    expect(known()).toBe('');
    pods.offer({ metadata: { name: 'a', resourceVersion: '1000000000000000000001', labels: { app: 'new' } } });
    expect(known()).toBe('a=new');
  });

  test('is not taken before the first list', async () => {
    api.hangs = true;
    follow();
    pods.offer(put('a'));
    expect(known()).toBe('');
  });
});

describe('stop', () => {
  test.for<readonly [string, () => Promise<unknown>]>([
    ['watches', async () => until(() => pods.isSynced)],
    ['waits for an answer', async () => ((api.hangs = true), until(() => api.log.length === 1))],
    ['waits for the next try', async () => ((api.token = 'other'), until(() => pods.failure !== undefined))],
  ])('leaves nothing behind while it %s', async ([, before]) => {
    const resources = await resourcesNow();
    follow();
    await before();
    await pods.stop();
    await until(() => resources.length >= process.getActiveResourcesInfo().filter(isOurs).length);
    const { length } = api.log;
    put('a');
    expect(known()).toBe('');
    expect(api.log).toHaveLength(length);
  });
});

/** Returns how to know the pauses between tries, without the first so many. */
function pausesFrom(first: number): () => readonly number[] {
  const spy = vi.isMockFunction(setTimeout) ? setTimeout : vi.spyOn(globalThis, 'setTimeout');
  return () =>
    vi
      .mocked(spy)
      .mock.calls.map(([, milliseconds = 0]) => milliseconds)
      .filter((milliseconds) => milliseconds < 15_000)
      .slice(first);
}

/** How often the first pause was doubled to come to this one, which may be half as long. */
function lengthOf(milliseconds: number): number {
  return Math.max(0, Math.ceil(Math.log2(milliseconds / 100)));
}

/** What holds the process: the server's side of a connection goes a moment after ours. */
async function resourcesNow(): Promise<readonly string[]> {
  await until(() => api.watches() === 0);
  return process.getActiveResourcesInfo().filter(isOurs);
}

function isOurs(resource: string): boolean {
  return resource.startsWith('TCP') || resource === 'Timeout';
}
