import { expect, test } from 'vitest';
import { agentCommand } from '../../src/cli/agent.ts';
import { runCommand } from '../helpers/commandLine.ts';

test.for(['65536', '-1', '1.5', 'five', ''])('"%s" is no NFLOG group', async (group) => {
  const args = ['--node-name', 'node-1', '--source', 'dir:/nowhere', `--nflog-group=${group}`];
  const { exitCode, stderr } = await runCommand(agentCommand, args);
  expect([exitCode, stderr]).toEqual([2, expect.stringMatching('expected a number from 0 to 65535')]);
});

test('Events without an API server are bad usage', async () => {
  const args = ['--node-name', 'node-1', '--source', 'dir:/nowhere', '--denied-events'];
  expect(await runCommand(agentCommand, args)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: --denied-events needs --source kube: there is no API server to write Events to\n',
  });
});
