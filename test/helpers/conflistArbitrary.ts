import fc from 'fast-check';

/** A plugin as somebody may configure it: with keys that nobody knows, deep ones too. */
const plugin = fc
  .tuple(
    fc.constantFrom('bridge', 'ptp', 'flannel', 'portmap', 'tuning', 'some-plugin'),
    fc.dictionary(
      fc.string({ maxLength: 6 }).filter((key) => key !== 'type'),
      fc.jsonValue({ maxDepth: 3 }),
      { maxKeys: 3 },
    ),
  )
  .map(([type, keys]) => ({ type, ...keys }));

/** A conflist's text in somebody's manner of writing. */
export const conflistArbitrary: fc.Arbitrary<string> = fc
  .record({
    name: fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/),
    cniVersion: fc.constantFrom('0.3.1', '0.4.0', '1.0.0', '1.1.0'),
    plugins: fc.array(plugin, { minLength: 1, maxLength: 4 }),
    space: fc.constantFrom<string | number>(0, 1, 2, 4, '\t'),
    end: fc.constantFrom('', '\n', '\r\n', ' \n\n'),
    crlf: fc.boolean(),
  })
  .map(({ space, end, crlf, ...conflist }) => {
    const text = JSON.stringify(conflist, null, space) + end;
    return crlf ? text.replace(/\r?\n/g, '\r\n') : text;
  });
