import { expect, test } from 'vitest';
import { growth, summarize } from '../../bench/statistics.ts';

test.for([
  { samples: [3], summary: { median: 3, min: 3, max: 3, runs: 1 } },
  { samples: [10, 9, 100], summary: { median: 10, min: 9, max: 100, runs: 3 } },
  { samples: [4, 1, 3, 2], summary: { median: 2.5, min: 1, max: 4, runs: 4 } },
])('the summary of $samples', ({ samples, summary }) => {
  expect(summarize(samples)).toEqual(summary);
});

test('samples keep their order', () => {
  const samples = [2, 1];
  summarize(samples);
  expect(samples).toEqual([2, 1]);
});

test('without samples there is no summary', () => {
  expect(() => summarize([])).toThrow('Cannot summarize: there are no samples');
});

test.for([
  { cost: 5, exponent: 0 },
  { cost: 50, exponent: 1 },
  { cost: 500, exponent: 2 },
])('ten times the size at a cost of 5 → $cost grows with the power of $exponent', ({ cost, exponent }) => {
  expect(growth({ size: 100, cost: 5 }, { size: 1000, cost })).toBeCloseTo(exponent);
});
