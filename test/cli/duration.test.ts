import { expect, test } from 'vitest';
import { parseDuration } from '../../src/cli/duration.ts';

test.for([
  { text: '500ms', milliseconds: 500 },
  { text: '10s', milliseconds: 10_000 },
  { text: '1.5s', milliseconds: 1500 },
  { text: '2m', milliseconds: 120_000 },
])('$text is $milliseconds ms', ({ text, milliseconds }) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.for(['', '10', '-1s', '1h', '1 s', '1e3s', 's'])('"%s" is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow('expected a number with a unit');
});
