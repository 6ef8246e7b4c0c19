import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comment, hostAddress, policiesText } from '../../src/rules/match.ts';

test('an address is matched with the prefix of a single host, as iptables prints it', () => {
  expect(['10.0.0.1', 'fd00::1'].map(hostAddress)).toEqual(['10.0.0.1/32', 'fd00::1/128']);
});

test.for([
  { text: 'shop/web-0', shown: 'shop/web-0' },
  { text: 'shop/a.b_c-D9', shown: 'shop/a.b_c-D9' },
  { text: 'shop/"; -j ACCEPT', shown: 'shop/?? -j ACCEPT' },
  { text: "it's\\", shown: 'it?s?' },
  { text: 'a\nCOMMIT\n', shown: 'a?COMMIT?' },
  { text: 'a\0b\tc\rd\u{2028}e', shown: 'a?b?c?d?e' },
  { text: 'é/日本', shown: '?/??' },
  { text: '💥', shown: '??' },
  { text: '%s$(id)`id`', shown: '?s??id??id?' },
  { text: '', shown: '' },
])('a comment shows $shown', ({ text, shown }) => {
  expect(comment(text)).toBe(`-m comment --comment "${shown}"`);
});

// ip_tables takes 256 bytes with the closing zero (xt_comment.h, XT_MAX_COMMENT_LEN).
test('a comment is one word of at most 200 printable bytes, whatever the text', () => {
  expect(comment('x'.repeat(300))).toBe(`-m comment --comment "${'x'.repeat(200)}"`);
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { maxLength: 600 }), (codes) => {
      expect(comment(String.fromCharCode(...codes))).toMatch(/^-m comment --comment "[A-Za-z0-9 ./_?-]{0,200}"$/);
    }),
  );
});

test.for([
  { policies: ['shop/a'], text: 'shop/a' },
  { policies: ['shop/a', 'shop/b', 'shop/c'], text: 'shop/a shop/b shop/c' },
  { policies: ['shop/a', 'shop/b', 'shop/c', 'shop/d', 'shop/e'], text: 'shop/a shop/b shop/c and 2 more' },
])('$policies.length policies are named as $text', ({ policies, text }) => {
  expect(policiesText(policies)).toBe(text);
});
