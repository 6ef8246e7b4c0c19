import * as fc from 'fast-check';
import { describe, test } from 'vitest';
import { readManifest } from '../../src/source/manifest.ts';

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: a
`;

async function problems(text: string): Promise<readonly string[]> {
  const manifest = await readManifest(text);
  return manifest.kind === 'valid' ? [] : manifest.problems.map(({ line, message }) => `${line ?? '?'}: ${message}`);
}

async function names(text: string): Promise<readonly string[]> {
  const manifest = await readManifest(text);
  return manifest.kind === 'valid' ? manifest.objects.map(({ object, line }) => `${line ?? '?'}: ${object.name}`) : [];
}

describe('documents', () => {
  test('any number of them, each with its line', async ({ expect }) => {
    const text = `# nothing here\n---\n${POLICY}---\n---\nkind: Service\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n...\n`;
    expect(await names(text)).toEqual(['3: a', '11: b']);
  });

  test.for(['', '\n', '# comment\n', '---\n---\n', 'null'])('none in %j', async (text, { expect }) => {
    expect(await readManifest(text)).toEqual({ kind: 'valid', objects: [] });
  });

  test('JSON, whatever the file is called', async ({ expect }) => {
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
    expect(await names(text)).toEqual(['?: a']);
    expect(await names(`\n  ${text}\n`)).toEqual(['?: a']);
  });

  test('YAML that looks like JSON', async ({ expect }) => {
    expect(await names('{apiVersion: v1, kind: Namespace, metadata: {name: a}}')).toEqual(['1: a']);
  });

  test('aliases and merge keys are followed', async ({ expect }) => {
    const items = Array.from(
      { length: 500 },
      (_, index) => `- {<<: *base, metadata: {name: n${index}, labels: *labels}}\n`,
    );
    const base = `x-base: &base {apiVersion: v1, kind: Namespace}\nx-labels: &labels {team: red}\n`;
    const manifest = await readManifest(`${base}kind: List\nitems:\n${items.join('')}`);
    expect(manifest).toMatchObject({ kind: 'valid', objects: { length: 500 } });
  });
});

describe('a problem has the line of its field', () => {
  test('all of them, of all documents', async ({ expect }) => {
    const text = `${POLICY}spec:
  podSelector:
    matchLabels:
      app: true
  ingress:
  - from:
    - ipBlock:
        cidr: 10.0.0.0/8
        except:
        - 10.1.0.0/16
        - 11.0.0.0/16
    - namespaceSelector: {}
      ports: []
---
apiVersion: v1
kind: Pod
metadata: {labels: {}}
`;
    expect(await problems(text)).toEqual([
      '8: spec.podSelector.matchLabels.app: Cannot use true: must be a string, write "true"',
      '15: spec.ingress[0].from[0].ipBlock.except[1]: Cannot use "11.0.0.0/16": must be a smaller network within cidr "10.0.0.0/8"',
      '17: spec.ingress[0].from[1].ports: Unknown field "ports": it belongs in an element of "ingress" or "egress", beside "from" or "to"; check the indentation',
      '21: metadata.name: Missing name: every object has one',
    ]);
  });

  test('in JSON, and in lists', async ({ expect }) => {
    const value = { kind: 'List', items: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'A' } }] };
    expect(await problems(JSON.stringify(value, undefined, 1))).toEqual([
      '8: items[0].metadata.name: Cannot use "A": must be at most 63 lower-case letters, digits and "-", and start and end with a letter or digit',
    ]);
  });

  test('also behind an alias', async ({ expect }) => {
    const text = `${POLICY}spec:\n  podSelector: &all\n    app: web\n  ingress:\n  - from:\n    - podSelector: *all\n`;
    expect((await problems(text)).map((problem) => problem.split(': Unknown')[0])).toEqual([
      '7: spec.podSelector.app',
      '7: spec.ingress[0].from[0].podSelector.app',
    ]);
  });
});

describe('text that is no YAML is refused whole', () => {
  test.for([
    { name: 'a tab', text: 'a: b\n\tc: d\n', line: 2 },
    { name: 'a key twice', text: 'a: b\nc: d\na: e\n', line: 3 },
    { name: 'a list one step off', text: `${POLICY}spec:\n  policyTypes:\n - Ingress\n`, line: 6 },
    { name: 'an alias to nothing', text: 'a: *b\n', line: 1 },
    { name: 'an open bracket', text: 'a: [b\n', line: 2 },
    { name: 'an open quote', text: 'a: "b\n', line: 2 },
    { name: 'half a JSON object', text: '{"kind": "Pod",\n"metadata": {', line: 2 },
  ])('$name', async ({ text, line }, { expect }) => {
    const [first] = await problems(`${POLICY}---\n${text}`);
    expect(first).toMatch(new RegExp(`^${line + 5}: Cannot read the YAML: `));
  });

  test.for(['just text', '- a\n- b', '12'])('and so is what is no object: %j', async (text, { expect }) => {
    expect((await problems(text))[0]).toMatch(/^1: Cannot use .*: must be an object$/);
  });
});

describe('hostile text', () => {
  test('aliases that multiply', async ({ expect }) => {
    const levels = Array.from({ length: 30 }, (_, level) => `- &a${level + 1} [${`*a${level},`.repeat(9)}]`);
    const [first] = await problems(`- &a0 [x]\n${levels.join('\n')}\n`);
    expect(first).toMatch(/^1: Cannot read the YAML: Excessive alias count/);
  });

  test('a list that holds itself', async ({ expect }) => {
    expect(await problems('&list\nkind: List\nitems: [*list]\n')).toHaveLength(1);
  });

  test('brackets without end', async ({ expect }) => {
    expect((await problems(`a: ${'['.repeat(100_000)}`))[0]).toMatch(/Cannot read the YAML: /);
  });

  test('keys that are properties of every object', async ({ expect }) => {
    const text = `${POLICY}__proto__: {spec: {}}\nconstructor: 1\n`;
    expect((await problems(text)).map((problem) => problem.split(';')[0])).toEqual([
      '5: __proto__: Unknown field "__proto__": expected "apiVersion", "kind", "metadata", "spec", "status"',
      '6: constructor: Unknown field "constructor": expected "apiVersion", "kind", "metadata", "spec", "status"',
    ]);
  });

  test('a document too large to be read as YAML', async ({ expect }) => {
    const large = `# ${'x'.repeat(4 * 1024 * 1024)}\n`;
    expect(await problems(large)).toEqual(['?: Cannot read a YAML document above 4 MiB: split it, or write JSON']);
    expect(await names(`${POLICY}${'---\n# comment\n'.repeat(100)}`)).toEqual(['1: a']);
  });

  test('whatever comes, a manifest', async ({ expect }) => {
    const line = fc.constantFrom(
      'a: b',
      '- c',
      '---',
      '...',
      '%YAML 1.1',
      '!!binary x',
      '? [a]',
      '&a',
      '*a',
      '<<: *a',
      '|',
      "'",
      '{',
      ']',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.tuple(fc.constantFrom('', ' ', '  ', '\t'), line).map((parts) => parts.join('')))
        .map((all) => all.join('\n')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        expect((await readManifest(value)).kind).toBeOneOf(['valid', 'invalid']);
      }),
      { numRuns: 1000 },
    );
  });
});
