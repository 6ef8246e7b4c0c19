import { beforeEach, describe, expect, test } from 'vitest';
import { PodUnion } from '../../../src/source/api/podUnion.ts';
import { PodWatchDouble } from '../../helpers/podWatchDouble.ts';

let own: PodWatchDouble;
/** Shows all pods of namespace `shop`. */
let shop: PodWatchDouble;
/** Shows the pods of all namespaces that a selector selects. */
let some: PodWatchDouble;
let union: PodUnion;

beforeEach(() => {
  own = new PodWatchDouble();
  shop = new PodWatchDouble();
  some = new PodWatchDouble();
  union = new PodUnion('node-1', own.watch);
  union.show([
    { namespace: 'shop', isWhole: true, watch: shop.watch },
    { namespace: undefined, isWhole: false, watch: some.watch },
  ]);
});

describe('a pod that two watches show', () => {
  test('is what the newer version says, whoever tells it', () => {
    const old = shop.put('shop/a', '101');
    expect(union.get('shop/a')).toBe(old);
    const now = some.put('shop/a', '110', { labels: { app: 'x' } });
    expect([union.get('shop/a'), union.changedIn('shop/a')]).toEqual([now, '110']);
    shop.put('shop/a', '99', {});
    expect(union.get('shop/a')).toBe(now);
  });

  test('lives on when it leaves the view of a selector', () => {
    const still = shop.put('shop/a', '101');
    some.put('shop/a', '101');
    some.delete('shop/a', '102');
    expect(union.get('shop/a')).toBe(still);
  });

  test('is gone when it leaves its namespace’s, though another watch is late', () => {
    shop.put('shop/a', '101');
    some.put('shop/a', '101');
    shop.delete('shop/a', '102');
    expect([union.get('shop/a'), union.changedIn('shop/a')]).toEqual([undefined, '']);
    some.put('shop/a', '101', { labels: { late: '' } });
    expect(union.get('shop/a')).toBeUndefined();
  });

  test('is there when it was made again, though the namespace’s watch is late', () => {
    shop.put('shop/a', '101');
    some.put('shop/a', '105');
    shop.delete('shop/a', '103');
    expect(union.changedIn('shop/a')).toBe('105');
  });
});

test("a pod of the node's own is shown by their watch alone", () => {
  shop.put('shop/a', '101', { nodeName: 'node-1' });
  expect(union.get('shop/a')).toBeUndefined();
  const shown = own.put('shop/a', '101', { nodeName: 'node-1' });
  expect(union.get('shop/a')).toBe(shown);
  shop.put('shop/a', '102', { nodeName: 'node-1', labels: { app: 'x' } });
  expect(union.get('shop/a')).toBe(shown);
});

test('a pod that came to another node under its name is there', () => {
  own.put('shop/a', '101', { nodeName: 'node-1' });
  const moved = shop.put('shop/a', '103');
  expect(union.get('shop/a')).toBe(moved);
});

test('changes are those of every watch that counts, and of what others showed that do not', () => {
  own.put('shop/a', '101', { nodeName: 'node-1' });
  shop.put('shop/b', '101');
  some.put('other/c', '101');
  expect(union.takeChanged()).toEqual(new Set(['shop/a', 'shop/b', 'other/c']));
  expect(union.takeChanged()).toEqual(new Set());
  union.show([{ namespace: undefined, isWhole: false, watch: some.watch }]);
  expect(union.takeChanged()).toContain('shop/b');
  expect(union.get('shop/b')).toBeUndefined();
});
