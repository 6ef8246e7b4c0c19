import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findTool, toolEnvironment } from '../../src/dataplane/tools.ts';

let first: string;
let second: string;

beforeAll(() => {
  [first, second] = [mkdtempSync(join(tmpdir(), 'tools-')), mkdtempSync(join(tmpdir(), 'tools-'))];
  for (const file of [join(first, 'plain'), join(second, 'plain'), join(second, 'other')]) writeFileSync(file, '');
  for (const file of [join(second, 'plain'), join(second, 'other')]) chmodSync(file, 0o755);
});

afterAll(() => [first, second].forEach((directory) => rmSync(directory, { recursive: true })));

test('a program is the first executable file of its name on PATH', () => {
  expect(findTool('plain', { PATH: `${first}:${second}` })).toBe(join(second, 'plain'));
  expect(findTool('plain', { PATH: first })).toBeUndefined();
});

test('entries of PATH that depend on the working directory are passed over', () => {
  expect(findTool('other', { PATH: `:.:bin:${second}` })).toBe(join(second, 'other'));
});

test('without a PATH the usual places are looked at', () => {
  expect(findTool('sh', {})).toMatch(/\/bin\/sh$/);
  expect(findTool('sh', { PATH: '' })).toMatch(/\/bin\/sh$/);
});

test('a program gets no more of the environment than it needs', () => {
  const env = { PATH: '/x', XTABLES_LOCKFILE: '/run/lock', LD_PRELOAD: '/evil', CNI_ARGS: 'x', LC_ALL: 'de_DE' };
  expect(toolEnvironment(env)).toEqual({ PATH: '/x', XTABLES_LOCKFILE: '/run/lock', LC_ALL: 'C' });
});
