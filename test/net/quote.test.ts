import { test } from 'vitest';
import { printable, quote } from '../../src/net/quote.ts';

test('what comes from outside cannot end a line, move the cursor or turn the text round', ({ expect }) => {
  expect(quote('a"b\\')).toBe(String.raw`"a\"b\\"`);
  expect(quote('a\n\u001B[2J\u007F\u0085')).toBe(String.raw`"a\n\u001b[2J\u{7f}\u{85}"`);
  expect(quote('a\u2028b\u202Ec')).toBe(String.raw`"a\u{2028}b\u{202e}c"`);
});

test('a long text is cut', ({ expect }) => {
  expect(quote('x'.repeat(121))).toBe(`"${'x'.repeat(120)}…"`);
  expect(quote('x'.repeat(120))).toBe(`"${'x'.repeat(120)}"`);
});

test('a path or a message keeps its quotes', ({ expect }) => {
  expect(printable('open "a"\n')).toBe(String.raw`open "a"\u{a}`);
  expect(printable('x'.repeat(501))).toBe(`${'x'.repeat(500)}…`);
});
