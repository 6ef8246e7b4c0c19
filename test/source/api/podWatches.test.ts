import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PodWatches, type PodQuery } from '../../../src/source/api/podWatches.ts';
import { PodWatchDouble } from '../../helpers/podWatchDouble.ts';

let watches: PodWatches;
/** By what they are asked for. */
let running: Map<string, PodWatchDouble>;
let changes: number;

beforeEach(() => {
  vi.useFakeTimers();
  running = new Map();
  changes = 0;
  const follow = (query: PodQuery) => {
    const double = new PodWatchDouble();
    running.set(textOf(query), double);
    return double.watch;
  };
  watches = new PodWatches({ nodeName: 'node-1', which: 'own', follow, onChange: () => (changes += 1) });
});
afterEach(() => vi.useRealTimers());

function textOf({ path, query }: Pick<PodQuery, 'path' | 'query'>): string {
  return `${path}?${new URLSearchParams(query).toString()}`;
}

function watchOf(text: string): PodWatchDouble {
  const found = running.get(text);
  if (found === undefined) throw new Error(`Nobody asks for ${text}`);
  return found;
}

const viewOf = (namespace: string, labelSelector = '') => ({ namespace, labelSelector });

/** Needs the pods of these namespaces, lists them, and returns the keys of what has changed by that. */
function need(...namespaces: readonly string[]): readonly string[] {
  watches.need(namespaces.map((name) => viewOf(name)));
  for (const name of namespaces) watchOf(`/api/v1/namespaces/${name}/pods?`).isSynced = true;
  return [...watches.takeChanged()];
}

test('a query says what is needed, and nothing in it is taken for more', () => {
  watches.need([
    viewOf('shop', 'app=x,tier in (a,b)'),
    { namespace: undefined, labelSelector: '' },
    viewOf('a/../b?c'),
  ]);
  expect([...running.keys()]).toEqual([
    '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1',
    '/api/v1/namespaces/shop/pods?labelSelector=app%3Dx%2Ctier+in+%28a%2Cb%29',
    '/api/v1/pods?',
    '/api/v1/namespaces/a%2F..%2Fb%3Fc/pods?',
  ]);
});

test('what is not needed any more does not count, but is watched for a minute', () => {
  need('shop');
  const shop = watchOf('/api/v1/namespaces/shop/pods?');
  shop.put('shop/a', '101');
  expect([...watches.takeChanged()]).toEqual(['shop/a']);
  expect([need(), watches.objects.get('shop/a')]).toEqual([['shop/a'], undefined]);
  vi.advanceTimersByTime(59_000);
  expect(shop.isStopped).toBe(false);
  expect([need('shop'), watches.objects.get('shop/a') !== undefined]).toEqual([['shop/a'], true]);
  vi.advanceTimersByTime(59_000);
  need();
  vi.advanceTimersByTime(60_000);
  expect([shop.isStopped, changes]).toEqual([true, 0]);
  need('shop');
  expect(watchOf('/api/v1/namespaces/shop/pods?')).not.toBe(shop);
});

test('what is known counts until what takes its place is listed', () => {
  need('shop');
  watchOf('/api/v1/namespaces/shop/pods?').put('shop/a', '101', { labels: { app: 'x' } });
  watches.need([viewOf('shop', 'app=x')]);
  watches.takeChanged();
  expect([watches.objects.get('shop/a') !== undefined, watches.unlisted().length]).toEqual([true, 1]);
  const next = watchOf('/api/v1/namespaces/shop/pods?labelSelector=app%3Dx');
  next.isSynced = true;
  watches.takeChanged();
  expect([watches.objects.get('shop/a'), watches.unlisted().length]).toEqual([undefined, 0]);
});

test('of what is not needed any more, only the last few are watched', () => {
  const names = Array.from({ length: 40 }, (_, index) => `ns-${index}`);
  for (const name of names) need(name);
  const stopped = names.filter((name) => watchOf(`/api/v1/namespaces/${name}/pods?`).isStopped);
  expect(stopped).toEqual(names.slice(0, 39 - 32));
});

test('own pods are offered, and no others', () => {
  const offered: unknown[] = [];
  Object.assign(watchOf('/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1'), {
    offer: (pod: unknown) => offered.push(pod),
  });
  const onNode = (nodeName: string) => ({ metadata: { name: 'a' }, spec: { nodeName } });
  for (const pod of [onNode('node-2'), onNode('node-1'), { metadata: { name: 'a' } }]) watches.offer(pod);
  expect(offered).toEqual([onNode('node-1')]);
});
