import { expect, test } from 'vitest';
import type { HammerCounts, PartCounts } from '../../../scripts/demo/newPod.ts';
import { gotThroughTooEarly, newPodText, weaknesses } from '../../../scripts/demo/newPodText.ts';

function counts(gotThrough: Partial<PartCounts>, tried: Partial<PartCounts> = {}): readonly HammerCounts[] {
  const [none, all] = [0, 100].map((count) => ({
    beforeAdd: count,
    duringAdd: count,
    afterAdd: count,
    onceAllowed: 100,
  })) as [PartCounts, PartCounts];
  return [{ protocol: 'TCP', tried: { ...all, ...tried }, gotThrough: { ...none, ...gotThrough }, firstAt: undefined }];
}

test('what got through before it was allowed is counted, whenever that was; what came later is not', () => {
  expect(gotThroughTooEarly(counts({}))).toBe(0);
  expect(gotThroughTooEarly([...counts({ beforeAdd: 1, duringAdd: 2 }), ...counts({ afterAdd: 4 })])).toBe(7);
});

test('a hammer that was away in a part of the time, or never gets through, proves nothing', () => {
  expect(weaknesses(counts({}))).toEqual([]);
  expect(weaknesses(counts({ onceAllowed: 0 }, { duringAdd: 0 }))).toEqual([
    'TCP: nothing was tried during ADD',
    'TCP: nothing got through once allowed',
  ]);
});

test('the table has a column for each part of the time', () => {
  const hammered = { address: '10.0.0.1', boundaries: { add: 0, added: 1, allowed: 2 } };
  expect(`\n${newPodText({ ...hammered, counts: counts({}, { duringAdd: 7 }) }).join('\n')}`).toBe(`
                                before ADD    during ADD     after ADD  once allowed
TCP, a new connection each             100             7           100           100
  got through                            0             0             0           100`);
});
