import { describe, expect, test } from 'vitest';
import { commandLine, runCommandLine } from '../../src/cli/main.ts';

const silent = { stdout: () => {}, stderr: () => {}, env: {}, executable: undefined };
const names = commandLine({ ...silent, exitCode: () => {} }).commands.map((command) => command.name());

async function run(...args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' };
  const io = {
    ...silent,
    stdout: (text: string) => void (told.stdout += text),
    stderr: (text: string) => void (told.stderr += text),
  };
  return { exitCode: await runCommandLine(args, io), ...told };
}

describe.for(['', ...names])('"%s"', (name) => {
  const words = name === '' ? [] : [name];

  test('--help says what it does, how it is used and what its exit codes mean', async () => {
    const { exitCode, stdout, stderr } = await run(...words, '--help');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^Usage: kube-nwplcy .*\n\n\S.*\n[^]*\nExamples:?\b[^]*\n {2}.*kube-nwplcy [^]*\nExit codes: 0/,
    );
  });

  test('a flag that nobody knows is bad usage, told in one line', async () => {
    const { exitCode, stdout, stderr } = await run(...words, '--no-such-flag');
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: .*\n$/);
  });
});

test('a command that nobody knows is bad usage', async () => {
  expect(await run('sink')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/^error: unknown command 'sink'/),
  });
});
