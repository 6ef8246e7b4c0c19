import { expect, test } from 'vitest';
import { runProgram } from '../../src/dataplane/runProgram.ts';

const bash = (script: string, input?: string) =>
  runProgram('bash', { args: ['-c', script], ...(input !== undefined && { input }) });

test('a program gets its input, and what it prints is returned', async () => {
  expect(await bash('cat; echo "$LC_ALL" >&2', 'a\nb')).toEqual({
    failed: false,
    exitCode: 0,
    signal: undefined,
    code: undefined,
    stdout: 'a\nb',
    stderr: 'C\n',
  });
});

test('without input it finds the end of it', async () => {
  expect(await bash('cat')).toMatchObject({ failed: false, stdout: '' });
});

test('one that fails is told by its exit code', async () => {
  expect(await bash('echo no luck >&2; exit 4')).toMatchObject({ failed: true, exitCode: 4, stderr: 'no luck\n' });
});

test('one that is killed has a signal in place of an exit code', async () => {
  expect(await bash('kill -SEGV $$')).toMatchObject({ failed: true, exitCode: undefined, signal: 'SIGSEGV' });
});

test('one that is not there has the system’s code', async () => {
  expect(await runProgram('no-such-program', { args: [] })).toMatchObject({
    failed: true,
    exitCode: undefined,
    code: 'ENOENT',
  });
});

test('one that does not read its input is no trouble', async () => {
  expect(await bash('exit 3', 'x'.repeat(5_000_000))).toMatchObject({ failed: true, exitCode: 3 });
});

test('characters that come in pieces are whole', async () => {
  const text = 'ä€😀'.repeat(100_000);
  expect((await bash('cat', text)).stdout).toBe(text);
});
