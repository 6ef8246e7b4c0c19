import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSameObject } from '../../src/source/sameObject.ts';

const value = fc.constantFrom<unknown[]>(undefined, '', 'a', [], ['a'], new Map([['a', 'b']]), new Map([['a', 'c']]));
const object = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value.map(structuredClone), { noNullPrototype: true });

test('objects are the same that say the same, whatever they share', () => {
  fc.assert(
    fc.property(object, object, (one, other) => {
      expect(isSameObject(one, other)).toBe(isDeepStrictEqual(one, other));
      expect(isSameObject(one, { ...one })).toBe(true);
    }),
    { numRuns: 500 },
  );
});
