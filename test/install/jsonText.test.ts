import fc from 'fast-check';
import { expect, test } from 'vitest';
import { elementsAt, membersAt, spliced, valueAt } from '../../src/install/jsonText.ts';

const anyJson = fc.json({ maxDepth: 4 });
const gap = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

test('members and elements stand where the parser finds them, however the text is laid out', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), anyJson), { maxLength: 4 }), gap, (entries, space) => {
      const object = `${space}{${space}${entries.map(([key, value]) => `${JSON.stringify(key)}${space}:${space}${value}${space}`).join(`,${space}`)}}`;
      const members = membersAt(object, valueAt(object, 0).start);
      expect(
        members.map(({ key, name, value }) => [
          key,
          object.slice(name.start, name.end),
          object.slice(value.start, value.end),
        ]),
      ).toEqual(entries.map(([key, value]) => [key, JSON.stringify(key), value]));
      const list = `[${space}${entries.map(([, value]) => value).join(`${space},${space}`)}${space}]`;
      expect(elementsAt(list, 0).map(({ start, end }) => list.slice(start, end))).toEqual(
        entries.map(([, value]) => value),
      );
    }),
  );
});

test('brackets, quotes and backslashes inside of strings delimit nothing', () => {
  const text = '{"a]\\"}": ["}{", "\\\\"], "b": 1e5}';
  expect(membersAt(text, 0).map(({ key, value }) => [key, text.slice(value.start, value.end)])).toEqual([
    ['a]"}', '["}{", "\\\\"]'],
    ['b', '1e5'],
  ]);
});

test('a splice changes nothing around it', () => {
  expect(spliced('0123456', { start: 2, end: 4 }, 'x')).toBe('01x456');
});
