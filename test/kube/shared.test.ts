import { expect, test } from 'vitest';
import { Shared } from '../../src/kube/shared.ts';

test('one of equal values is kept for as long as it is asked for, or there are few', () => {
  const shared = new Shared<object>(8);
  const first = {};
  expect(shared.get('a', first)).toBe(first);
  expect(shared.get('a', {})).toBe(first);
  for (const key of ['b', 'c', 'd', 'e']) shared.get(key, {});
  expect(shared.get('a', {})).toBe(first);
  for (const key of ['f', 'g', 'h', 'i', 'j', 'k', 'l', 'm']) shared.get(key, {});
  expect(shared.get('a', {})).not.toBe(first);
});

test('what is kept stays little, whatever comes', () => {
  const shared = new Shared<object>(8);
  const values = Array.from({ length: 100 }, (_, index) => shared.get(`${index}`, {}));
  const kept = values.filter((value, index) => shared.get(`${index}`, {}) === value);
  expect(kept.length).toBeLessThanOrEqual(8);
});
