import { describe, expect, test } from 'vitest';
import { spawnByBinding, spawnByChildProcess, spawnSync, type SpawnOptions } from '../../src/dataplane/spawnSync.ts';

const OPTIONS: SpawnOptions = { input: '', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 };

test('the pinned Node still has the binding, so that no ADD loads child_process', () => {
  expect(spawnByBinding('/bin/true', [], OPTIONS)?.status).toBe(0);
});

// What the binding answers is held against what Node's public API answers.
describe.each([
  { way: 'binding', spawn: spawnByBinding },
  { way: 'child_process', spawn: spawnByChildProcess },
])('by $way', ({ spawn }) => {
  test('a program gets its arguments, its input and no other environment', () => {
    const script = 'echo "$1|$2"; cat; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= >&2';
    const result = spawn('/bin/sh', ['-c', script, 'sh', 'a b', ''], {
      ...OPTIONS,
      input: 'grüß\n',
      env: { ONLY: 'this' },
    });
    expect(result).toEqual({ status: 0, signal: null, stdout: 'a b|\ngrüß\n', stderr: 'ONLY=this\n' });
  });

  test('output and input beyond a pipe buffer come whole', () => {
    const input = '0123456789abcdef'.repeat(64 * 1024);
    expect(spawn('/bin/cat', [], { ...OPTIONS, input })).toEqual({
      status: 0,
      signal: null,
      stdout: input,
      stderr: '',
    });
  });

  test('an exit code is a status, not an error, even when the input was never read', () => {
    const result = spawn('/bin/sh', ['-c', 'echo no >&2; exit 4'], { ...OPTIONS, input: 'x'.repeat(1024 * 1024) });
    expect(result).toEqual({ status: 4, signal: null, stdout: '', stderr: 'no\n' });
  });

  test('a program that is not there is ENOENT', () => {
    expect(spawn('/nowhere/iptables', [], OPTIONS)).toEqual({
      status: null,
      signal: null,
      error: { code: 'ENOENT' },
      stdout: '',
      stderr: '',
    });
  });

  test('a file that is no program is EACCES', () => {
    expect(spawn('/etc/passwd', [], OPTIONS)).toEqual({
      status: null,
      signal: null,
      error: { code: 'EACCES' },
      stdout: '',
      stderr: '',
    });
  });

  test('a program that runs too long is killed and is ETIMEDOUT', () => {
    const result = spawn('/bin/sh', ['-c', 'trap "" TERM; echo begun; exec sleep 60'], { ...OPTIONS, timeoutMs: 300 });
    expect(result).toEqual({
      status: null,
      signal: 'SIGKILL',
      error: { code: 'ETIMEDOUT' },
      stdout: 'begun\n',
      stderr: '',
    });
  });

  test('a program that a signal ended says which', () => {
    expect(spawn('/bin/sh', ['-c', 'kill -SEGV $$'], OPTIONS)).toEqual({
      status: null,
      signal: 'SIGSEGV',
      stdout: '',
      stderr: '',
    });
  });
});

test.for([
  { where: 'an argument', args: ['a\0b'], env: {} },
  { where: 'a variable', args: [], env: { A: 'a\0b' } },
])('a NUL byte in $where is refused', ({ args, env }) => {
  expect(() => spawnSync('/bin/true', args, { ...OPTIONS, env })).toThrow('holds a NUL byte');
});
