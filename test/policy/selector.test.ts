import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LabelSelector, LabelSelectorRequirement } from '../../src/kube/labelSelector.ts';
import { selectorKey, selects } from '../../src/policy/selector.ts';

type Requirements = readonly LabelSelectorRequirement[];

function selector(matchLabels: Readonly<Record<string, string>>, matchExpressions: Requirements = []): LabelSelector {
  return { matchLabels: new Map(Object.entries(matchLabels)), matchExpressions };
}

const labels = new Map([
  ['app', 'web'],
  ['tier', ''],
]);
const expression = (...matchExpressions: Requirements) => selector({}, matchExpressions);

describe('a selector selects an object', () => {
  test.for<{ readonly rule: string; readonly selector: LabelSelector; readonly yes: boolean }>([
    { rule: 'when it asks for nothing', selector: selector({}), yes: true },
    { rule: 'by a label', selector: selector({ app: 'web' }), yes: true },
    { rule: 'by all labels', selector: selector({ app: 'web', tier: '' }), yes: true },
    { rule: 'not by another value', selector: selector({ app: 'db' }), yes: false },
    { rule: 'not by one label of two', selector: selector({ app: 'web', tier: 'front' }), yes: false },
    { rule: 'not by an empty value where the label is missing', selector: selector({ missing: '' }), yes: false },
    { rule: 'not by a part of the value', selector: selector({ app: 'we' }), yes: false },
    {
      rule: 'In, one of the values',
      selector: expression({ operator: 'In', key: 'app', values: ['db', 'web'] }),
      yes: true,
    },
    {
      rule: 'In, none of the values',
      selector: expression({ operator: 'In', key: 'app', values: ['db'] }),
      yes: false,
    },
    {
      rule: 'In, the label is missing',
      selector: expression({ operator: 'In', key: 'missing', values: [''] }),
      yes: false,
    },
    {
      rule: 'NotIn, none of the values',
      selector: expression({ operator: 'NotIn', key: 'app', values: ['db'] }),
      yes: true,
    },
    {
      rule: 'NotIn, one of the values',
      selector: expression({ operator: 'NotIn', key: 'app', values: ['db', 'web'] }),
      yes: false,
    },
    {
      rule: 'NotIn, the label is missing',
      selector: expression({ operator: 'NotIn', key: 'missing', values: ['web'] }),
      yes: true,
    },
    { rule: 'Exists, also with an empty value', selector: expression({ operator: 'Exists', key: 'tier' }), yes: true },
    { rule: 'Exists, the label is missing', selector: expression({ operator: 'Exists', key: 'missing' }), yes: false },
    {
      rule: 'DoesNotExist, the label is missing',
      selector: expression({ operator: 'DoesNotExist', key: 'missing' }),
      yes: true,
    },
    {
      rule: 'DoesNotExist, also with an empty value',
      selector: expression({ operator: 'DoesNotExist', key: 'tier' }),
      yes: false,
    },
    {
      rule: 'labels and expressions must both hold',
      selector: selector({ app: 'web' }, [{ operator: 'Exists', key: 'missing' }]),
      yes: false,
    },
    {
      rule: 'all expressions must hold',
      selector: expression({ operator: 'Exists', key: 'app' }, { operator: 'Exists', key: 'missing' }),
      yes: false,
    },
    {
      rule: 'two expressions on one key',
      selector: expression(
        { operator: 'In', key: 'app', values: ['web', 'db'] },
        { operator: 'NotIn', key: 'app', values: ['db'] },
      ),
      yes: true,
    },
  ])('$rule', ({ selector: one, yes }) => {
    expect(selects(one, labels)).toBe(yes);
  });

  test('names of an object’s own parts are labels like any other', () => {
    expect(selects(selector({ constructor: 'x' }), new Map())).toBe(false);
    expect(selects(expression({ operator: 'Exists', key: '__proto__' }), new Map())).toBe(false);
    expect(selects(selector({ constructor: 'x' }), new Map([['constructor', 'x']]))).toBe(true);
  });
});

describe('the key of a selector', () => {
  const word = fc.constantFrom('a', 'b', 'ab', 'a.b', 'a-b', 'in', 'notin');
  const requirement: fc.Arbitrary<LabelSelectorRequirement> = fc.oneof(
    fc.record({
      operator: fc.constantFrom('In' as const, 'NotIn' as const),
      key: word,
      values: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const), key: word }),
  );
  const selectors = fc.record({
    matchLabels: fc
      .uniqueArray(fc.tuple(word, word), { selector: ([key]) => key, maxLength: 3 })
      .map((entries) => new Map(entries)),
    matchExpressions: fc.array(requirement, { maxLength: 3 }),
  });

  test('is the same in whatever order things are said', () => {
    fc.assert(
      fc.property(selectors, (one) => {
        const other: LabelSelector = {
          matchLabels: new Map([...one.matchLabels].toReversed()),
          matchExpressions: one.matchExpressions
            .toReversed()
            .map((some) => ('values' in some ? { ...some, values: some.values.toReversed() } : some)),
        };
        expect(selectorKey(other)).toBe(selectorKey(one));
      }),
    );
  });

  test('is another for what says something else', () => {
    const said = ({ matchLabels, matchExpressions }: LabelSelector) => [
      [...matchLabels].map((pair) => JSON.stringify(pair)).toSorted(),
      matchExpressions
        .map((some) => JSON.stringify([some.key, some.operator, 'values' in some ? some.values.toSorted() : []]))
        .toSorted(),
    ];
    fc.assert(
      fc.property(selectors, selectors, (one, other) => {
        expect(selectorKey(one) === selectorKey(other)).toBe(JSON.stringify(said(one)) === JSON.stringify(said(other)));
      }),
      { numRuns: 500 },
    );
  });

  test('reads as on the command line of kubectl', () => {
    const matchExpressions: LabelSelector['matchExpressions'] = [
      { operator: 'In', key: 'tier', values: ['b', 'a'] },
      { operator: 'NotIn', key: 'zone', values: [''] },
      { operator: 'Exists', key: 'team' },
      { operator: 'DoesNotExist', key: 'canary' },
    ];
    expect(selectorKey({ ...selector({ app: 'web' }), matchExpressions })).toBe(
      'app=web,!canary,team,tier in (a,b),zone notin ()',
    );
    expect(selectorKey(selector({}))).toBe('*');
  });
});
