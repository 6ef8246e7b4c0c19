import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LabelSelector } from '../../src/kube/labelSelector.ts';
import { SelectionIndex } from '../../src/policy/selectionIndex.ts';
import { selects } from '../../src/policy/selector.ts';

const labels = fc
  .dictionary(fc.constantFrom('app', 'tier', 'team'), fc.constantFrom('a', 'b', ''), { maxKeys: 3 })
  .map((entries) => new Map(Object.entries(entries)));
const selector: fc.Arbitrary<LabelSelector> = fc.record({
  matchLabels: labels,
  matchExpressions: fc.array(
    fc.oneof(
      fc.record({
        key: fc.constantFrom('app', 'tier'),
        operator: fc.constantFrom('In' as const, 'NotIn' as const),
        values: fc.constantFrom(['a'], ['a', 'b']),
      }),
      fc.record({
        key: fc.constantFrom('app', 'tier'),
        operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
      }),
    ),
    { maxLength: 1 },
  ),
});

test('finds just the selections that select, each once, whatever came and went before', () => {
  const agrees = fc.property(
    fc.array(fc.record({ pods: selector, stays: fc.boolean() }), { maxLength: 20 }),
    fc.array(labels, { minLength: 1, maxLength: 5 }),
    (list, pods) => {
      const index = new SelectionIndex<number>();
      const selections = list.map((one, target) => ({ ...one, target }));
      for (const selection of selections) index.add(selection);
      for (const selection of selections) if (!selection.stays) index.delete(selection);
      const left = selections.filter(({ stays }) => stays);
      expect(index.size).toBe(left.length);
      for (const one of pods) {
        const found = left.filter((selection) => selects(selection.pods, one)).map(({ target }) => target);
        expect([...index.targetsOf(one)].toSorted((a, b) => a - b)).toEqual(found);
      }
    },
  );
  fc.assert(agrees);
});

test('a label that many ask for is not where those are found that ask for a rare one too', () => {
  const index = new SelectionIndex<number>();
  let looks = 0;
  for (let target = 0; target < 100; target += 1) {
    const matchLabels = new Map([
      ['tier', 'web'],
      ['release', `r${target}`],
    ]);
    const watched = {
      get pods() {
        looks += 1;
        return { matchLabels, matchExpressions: [] };
      },
      target,
    };
    index.add(watched);
  }
  looks = 0;
  const found = index.targetsOf(
    new Map([
      ['tier', 'web'],
      ['release', 'r50'],
    ]),
  );
  expect(found).toEqual([50]);
  expect(looks).toBeLessThan(5);
});
