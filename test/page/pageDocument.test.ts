import { expect, test } from 'vitest';
import { pageDocument, pagePolicy } from '../../src/page/pageDocument.ts';

const ASSET = { script: 'run()', style: 'p{}', scriptHash: 'sha256-AAAA', styleHash: 'sha256-BBBB' };

test('no text of the data is markup', () => {
  const hostile = ['</script><img src=x onerror=alert(1)>', '<!--<script>', '&quot;', '\u2028'];
  const page = pageDocument(ASSET, JSON.stringify(hostile), { connect: false });
  const [, data = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
  expect(JSON.parse(data)).toEqual(hostile);
  expect(page.match(/<img|<!--|<script/g)).toHaveLength(2);
});

test('a page runs its own script and nothing else, and asks nobody unless it is live', () => {
  const policy = pagePolicy(ASSET, { connect: false });
  expect(policy).toBe(
    "default-src 'none'; script-src 'sha256-AAAA'; style-src 'sha256-BBBB'; img-src data:; base-uri 'none'; form-action 'none'",
  );
  expect(pageDocument(ASSET, 'null', { connect: false })).toContain(`content="${policy}"`);
  expect(pagePolicy(ASSET, { connect: true })).toContain("connect-src 'self'");
});
