import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/rules/sha256.ts';

const hex = (text: string) => Buffer.from(sha256(text)).toString('hex');

// FIPS 180-4 and its examples.
test('the digests of known texts', () => {
  expect(hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(hex('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')).toBe(
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  );
  expect(hex('a'.repeat(1_000_000))).toBe('cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0');
});

test('texts of every length around the ends of blocks', () => {
  for (let length = 0; length <= 260; length += 1) {
    const text = 'x'.repeat(length);
    expect(hex(text)).toBe(hash('sha256', text));
  }
});

test('any text, as UTF-8', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { maxLength: 300 }), (codes) => {
      const text = String.fromCharCode(...codes);
      expect(hex(text)).toBe(hash('sha256', text));
    }),
  );
});
