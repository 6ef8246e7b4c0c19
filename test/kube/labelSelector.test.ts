import { describe, test } from 'vitest';
import { decodeValue } from '../../src/kube/field.ts';
import { decodeLabelSelector } from '../../src/kube/labelSelector.ts';
import type { LabelSelector } from '../../src/kube/labelSelector.ts';
import { DecodeError, problemText } from '../../src/kube/decodeError.ts';

function decode(value: unknown): LabelSelector {
  return decodeValue(value, (field) => decodeLabelSelector(field, () => undefined));
}

function problems(value: unknown): readonly string[] {
  try {
    decode(value);
    return [];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return error.problems.map(problemText);
  }
}

test('labels and the four operators', ({ expect }) => {
  const matchExpressions = [
    { key: 'a', operator: 'In', values: ['x', ''] },
    { key: 'example.com/b', operator: 'NotIn', values: [null] },
    { key: 'c', operator: 'Exists', values: [] },
    { key: 'd', operator: 'DoesNotExist', values: null },
  ];
  expect(decode({ matchLabels: { 'app.kubernetes.io/name': 'web', constructor: null }, matchExpressions })).toEqual({
    matchLabels: new Map([
      ['app.kubernetes.io/name', 'web'],
      ['constructor', ''],
    ]),
    matchExpressions: [
      { operator: 'In', key: 'a', values: ['x', ''] },
      { operator: 'NotIn', key: 'example.com/b', values: [''] },
      { operator: 'Exists', key: 'c' },
      { operator: 'DoesNotExist', key: 'd' },
    ],
  });
});

test.for([
  { requirement: { key: 'a', operator: 'In' }, problem: 'values: Missing values: operator "In" needs one or more' },
  {
    requirement: { key: 'a', operator: 'NotIn', values: [] },
    problem: 'values: Missing values: operator "NotIn" needs one or more',
  },
  {
    requirement: { key: 'a', operator: 'Exists', values: ['x'] },
    problem: 'values: Cannot use values: operator "Exists" takes none',
  },
  {
    requirement: { key: 'a', operator: 'DoesNotExist', values: ['x'] },
    problem: 'values: Cannot use values: operator "DoesNotExist" takes none',
  },
  {
    requirement: { key: 'a', operator: 'in', values: ['x'] },
    problem: 'operator: Cannot use "in": must be "In", "NotIn", "Exists" or "DoesNotExist"',
  },
  {
    requirement: { key: 'a' },
    problem: 'operator: Cannot use nothing: must be "In", "NotIn", "Exists" or "DoesNotExist"',
  },
  { requirement: { key: 'a', operator: 'In', values: 'x' }, problem: 'values: Cannot use "x": must be a list' },
  {
    requirement: { key: 'a', operator: 'Exists', value: 'x' },
    problem: 'value: Unknown field "value": expected "key", "operator", "values"',
  },
])('$problem', ({ requirement, problem }, { expect }) => {
  expect(problems({ matchExpressions: [requirement] })[0]).toBe(`matchExpressions[0].${problem}`);
});

describe('keys and values are as the API takes them', () => {
  const long = 'a'.repeat(63);
  test.for(['a', 'A.b_c-1', long, `example.com/${long}`, `${'a.'.repeat(126)}a/b`])('key %j', (key, { expect }) => {
    expect(problems({ matchLabels: { [key]: 'x' } })).toEqual([]);
  });

  test.for([
    '',
    '-a',
    'a-',
    'a b',
    `${long}a`,
    '/a',
    'a/',
    'a/b/c',
    'A.com/a',
    'a..b/c',
    `${'a.'.repeat(127)}a/b`,
    '__proto__',
  ])('no key %j', (key, { expect }) => {
    const matchLabels: unknown = JSON.parse(`{${JSON.stringify(key)}: "x"}`);
    expect(problems({ matchLabels })).toHaveLength(1);
  });

  test.for(['', 'a', '1', 'A.b_c-1', long])('value %j', (value, { expect }) => {
    expect(problems({ matchLabels: { a: value } })).toEqual([]);
    expect(problems({ matchExpressions: [{ key: 'a', operator: 'In', values: [value] }] })).toEqual([]);
  });

  test.for([' ', '-', 'a b', 'a/b', `${long}a`, 'ä', 'a\n'])('no value %j', (value, { expect }) => {
    expect(problems({ matchLabels: { a: value } })).toHaveLength(1);
    expect(problems({ matchExpressions: [{ key: 'a', operator: 'In', values: [value] }] })).toHaveLength(1);
  });
});
