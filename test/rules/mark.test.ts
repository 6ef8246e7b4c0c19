import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_MARK_MASK, generationMark, parseMarkMask } from '../../src/rules/mark.ts';

interface Bits {
  readonly width: number;
  readonly shift: number;
}

const RUNS: readonly Bits[] = Array.from({ length: 24 }, (_, index) => index + 8).flatMap((width) =>
  Array.from({ length: 33 - width }, (_, shift) => ({ width, shift })),
);

const maskOf = ({ width, shift }: Bits) => (2 ** width - 1) * 2 ** shift;

test('the mark of a generation', () => {
  expect([0, 1, 65_533, 65_534, 65_535].map((generation) => generationMark(generation, DEFAULT_MARK_MASK))).toEqual([
    { value: 0x10000, mask: 0xffff0000 },
    { value: 0x20000, mask: 0xffff0000 },
    { value: 0xfffe0000, mask: 0xffff0000 },
    { value: 0xffff0000, mask: 0xffff0000 },
    { value: 0x10000, mask: 0xffff0000 },
  ]);
  // Generations begin at the clock.
  expect(generationMark(1_795_000_000_123, DEFAULT_MARK_MASK)).toEqual({ value: 0x4e740000, mask: 0xffff0000 });
});

test('a mark lies within its mask and is never zero, whatever the mask', () => {
  for (const bits of RUNS) {
    const mask = maskOf(bits);
    const unit = 2 ** bits.shift;
    for (const generation of [0, 1, 2 ** bits.width - 2, 2 ** bits.width - 1, 2 ** bits.width, 1_795_000_000_123]) {
      const { value, mask: within } = generationMark(generation, mask);
      expect(within).toBe(mask);
      expect([value % unit, value > 0, value / unit <= 2 ** bits.width - 1]).toEqual([0, true, true]);
    }
  }
});

test('2ⁿ-1 generations in a row have marks of their own', () => {
  for (const bits of RUNS.filter(({ width }) => width <= 12)) {
    const count = 2 ** bits.width - 1;
    const marks = Array.from({ length: count }, (_, index) => generationMark(1_795_000_000_123 + index, maskOf(bits)));
    expect(new Set(marks.map(({ value }) => value)).size).toBe(count);
  }
  fc.assert(
    fc.property(fc.constantFrom(...RUNS), fc.nat(2 ** 40), fc.nat(), (bits, generation, step) => {
      const other = generation + 1 + (step % (2 ** bits.width - 2));
      expect(generationMark(other, maskOf(bits)).value).not.toBe(generationMark(generation, maskOf(bits)).value);
    }),
  );
});

describe('a mask is one run of 8 to 31 bits', () => {
  test('every such run is taken, as hexadecimal and as decimal', () => {
    const masks = RUNS.filter(({ width }) => width < 32).map(maskOf);
    expect(masks.map((mask) => parseMarkMask(`0x${mask.toString(16)}`))).toEqual(masks);
    expect(masks.map((mask) => parseMarkMask(`0x${mask.toString(16).toUpperCase()}`))).toEqual(masks);
    expect(masks.map((mask) => parseMarkMask(String(mask)))).toEqual(masks);
  });

  test.for([
    '',
    '0',
    '0x0',
    '0x7f',
    '0xffffffff',
    '0xff00ff00',
    '0x1ffffffff',
    '4294967295',
    '4294967296',
    '99999999999',
    '-1',
    '0xffff0000 ',
    '0xffff0000/0xffff0000',
    '0b11111111',
    '1e3',
    'ffff0000',
  ])('"%s" is refused', (text) => {
    expect(parseMarkMask(text)).toBeUndefined();
  });
});
