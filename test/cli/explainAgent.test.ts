import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explainOnNode } from '../../src/agent/explainOnNode.ts';
import { listen } from '../../src/agent/socket.ts';
import { explainCommand } from '../../src/cli/explain.ts';
import { agentSocketPath, type AgentReply, type AgentRequest } from '../../src/rendezvous/agentSocket.ts';
import { hooked } from '../helpers/attachments.ts';
import { runCommand } from '../helpers/commandLine.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';
import { directoryOf } from '../helpers/exampleSource.ts';

const CLUSTER = clusterOf([
  namespace('shop'),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'] }),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.9.2'], nodeName: 'node-2' }),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 80 }] }],
  }),
]);
const PODS = [hooked('shop/web'), hooked('shop/ghost', { addresses: ['10.0.0.7'] })];

const NODE = { cluster: CLUSTER, pods: PODS, nodeName: 'node-1', ownAddresses: new Set(['192.168.0.1']) };

let runtimeDir: string;
let server: Server | undefined;
beforeEach(() => {
  runtimeDir = directoryOf([]);
});
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(agentSocketPath(runtimeDir), { force: true });
});

async function startAgent({ isPartial = false } = {}): Promise<void> {
  server = await listen(agentSocketPath(runtimeDir), async (request: AgentRequest): Promise<AgentReply> => {
    if (request.ask !== 'explain')
      return { kind: 'failed', message: 'Cannot answer: the request is of another version' };
    const answer = explainOnNode(request, { ...NODE, isPartial });
    return { kind: 'explained', answer: { nodeName: 'node-1', backend: 'nftables', ...answer } };
  });
}

async function explain(question: string) {
  const [from = '', , to = '', port = '', ...others] = question.split(' ');
  const args = ['--from', from, '--to', to, '--port', port, '--runtime-dir', runtimeDir, ...others];
  const { exitCode, stdout, stderr } = await runCommand(explainCommand, args);
  return { exitCode, stdout, stderr: stderr.replaceAll(runtimeDir, 'DIR') };
}

test.for(['', ' --source agent'])('the agent of the node is asked, by%s default', async (source) => {
  await startAgent();
  const { exitCode, stdout, stderr } = await explain(`shop/web > shop/db 80${source}`);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout.split('\n').slice(0, 5).join('\n')).toMatchInlineSnapshot(`
    "ALLOWED  shop/web (10.0.0.1) → shop/db (10.0.9.2)  80/TCP
             as the agent of node node-1 knows

    egress   shop/web: open: no policy selects it for egress
    ingress  shop/db: allowed"
  `);
});

test('what it refuses is exit code 1, and JSON names the node', async () => {
  await startAgent();
  const { exitCode, stdout } = await explain('shop/web > shop/db 81 --output json');
  expect([exitCode, JSON.parse(stdout)]).toMatchObject([
    1,
    { allowed: false, node: 'node-1', from: { pod: 'shop/web' } },
  ]);
});

test('an agent that knows some pods only says which end may be a pod', async () => {
  await startAgent({ isPartial: true });
  const { stdout } = await explain('shop/web > 10.0.9.9 80');
  expect(stdout).toContain("10.0.9.9 may be a pod that no policy of this node's pods names: --source kube knows all\n");
});

test('an address of the node itself is the node', async () => {
  await startAgent();
  const { stdout } = await explain('192.168.0.1 > shop/db 81');
  expect(stdout).toContain('192.168.0.1 is an address of node node-1: no policy selects it\n');
});

describe('no answer is exit code 2, and says why', () => {
  test('a pod that the agent does not know', async () => {
    await startAgent();
    expect(await explain('shop/we > shop/db 80')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'Cannot use "shop/we": there is no such pod; did you mean shop/web?\n',
    });
  });

  test('a pod that an agent which knows some pods only does not know', async () => {
    await startAgent({ isPartial: true });
    expect((await explain('shop/web > other/x 80')).stderr).toBe(
      'Cannot use "other/x": there is no such pod\n' +
        "Of other nodes' pods this agent knows only those that policies of its own pods name: --source kube knows all\n",
    );
  });

  test('a pod that is attached, but not in the source', async () => {
    await startAgent();
    expect((await explain('shop/web > shop/ghost 80')).stderr).toBe(
      'Cannot use "shop/ghost": it is attached to this node, but the source does not show it: it is refused everything until the source does\n',
    );
  });

  test('no agent, named or not', async () => {
    const missing = `Cannot reach the agent at "DIR/agent.sock": ENOENT; start "kube-nwplcy agent", or give the --runtime-dir that it was given\n`;
    expect(await explain('shop/web > shop/db 80 --source agent')).toEqual({ exitCode: 2, stdout: '', stderr: missing });
    expect(await explain('shop/web > shop/db 80')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `${missing}Without an agent, say by --source where the objects are: dir:PATH or kube; --kernel asks the rules of this node too\n`,
    });
  });

  test('a source that is none', async () => {
    expect(await explain('shop/web > shop/db 80 --source nobody')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('expected agent, dir:PATH or kube'),
    });
  });
});

test('pods of the node are told with how they are hooked in, by the address in question', () => {
  const known = { ...NODE, isPartial: false };
  const hooks = (from: string, to: string) =>
    explainOnNode({ ask: 'explain', from, to, port: 80, protocol: 'TCP' }, known).hooks;
  expect(hooks('shop/web', 'shop/db')).toEqual({ from: PODS[0], to: undefined });
  expect(hooks('shop/db', '10.0.0.7')).toEqual({ from: undefined, to: PODS[1] });
});
