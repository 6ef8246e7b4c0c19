import { expect, test } from 'vitest';
import { agentCommand } from '../../src/cli/agent.ts';
import { runCommand } from '../helpers/commandLine.ts';

test('Events without an API server are bad usage', async () => {
  const args = ['--node-name', 'node-1', '--source', 'dir:/nowhere', '--denied-events'];
  expect(await runCommand(agentCommand, args)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: --denied-events needs --source kube: there is no API server to write Events to\n',
  });
});
