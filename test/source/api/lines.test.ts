import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from '../../../src/source/api/lines.ts';

async function* cut(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Buffer, undefined> {
  let from = 0;
  for (const length of lengths) yield bytes.subarray(from, (from += length));
  yield bytes.subarray(from);
  return undefined;
}

test('lines are the same however the bytes are cut, in the middle of a character too', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', '"', '\0', 'é', '€', '🦆'), maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 6 }),
      fc.array(fc.nat({ max: 9 }), { maxLength: 20 }),
      async (lines, lengths) => {
        const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''));
        expect(await Array.fromAsync(linesOf(cut(bytes, lengths)))).toEqual(lines);
      },
    ),
  );
});

test('what follows the last line end is no line', async () => {
  expect(await Array.fromAsync(linesOf(cut(Buffer.from('a\n\nb'), [1])))).toEqual(['a', '']);
});
