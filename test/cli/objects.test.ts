import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { explainCommand } from '../../src/cli/explain.ts';
import { runCommand } from '../helpers/commandLine.ts';
import { directoryOf } from '../helpers/exampleSource.ts';
import { namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const QUESTION = ['--from', 'shop/web', '--to', 'shop/db', '--port', '80'];

const LISTS: Readonly<Record<string, readonly Manifest[]>> = {
  '/api/v1/namespaces': [namespace('shop')],
  '/api/v1/pods': [pod('shop/web', { addresses: ['10.0.0.1'] }), pod('shop/db', { addresses: ['10.0.0.2'] })],
  '/apis/networking.k8s.io/v1/networkpolicies': [
    policy('shop/newer', { podSelector: {}, ingress: [{ from: [{ somethingNew: 1 }] }] }),
  ],
};

let server: Server;
let kubeconfig: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const items = LISTS[pathname];
    if (items === undefined) response.writeHead(404).end('{}');
    else if (searchParams.has('sendInitialEvents')) response.write(watchText(items));
    else response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '1' }, items }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  kubeconfig = kubeconfigFor(`http://127.0.0.1:${port}`);
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** What is there, told as the beginning of a watch (Kubernetes API concepts, "Streaming lists"). */
function watchText(items: readonly Manifest[]): string {
  const annotations = { 'k8s.io/initial-events-end': 'true' };
  const end = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '1', annotations } } };
  const events = [...items.map((object) => ({ type: 'ADDED', object })), end];
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

function kubeconfigFor(url: string): string {
  const file = join(directoryOf([]), 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }], // the client takes plain HTTP only so
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

test('an API server is asked once, and what cannot be read of it is told and closed', async () => {
  const { exitCode, stdout, stderr } = await runCommand(explainCommand, ['--source', 'kube', ...QUESTION], {
    KUBECONFIG: kubeconfig,
  });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^NetworkPolicy shop\/newer: spec\.ingress\[0\]\.from\[0\]/);
  expect(stdout).toMatchInlineSnapshot(`
    "DENIED  shop/web (10.0.0.1) → shop/db (10.0.0.2)  80/TCP

    egress   shop/web: open: no policy selects it for egress
               shop/newer selects it, but not for egress
    ingress  shop/db: refused: one policy isolates it, and no rule allows this
             ✗ shop/newer has no ingress rules: it allows nothing
    "
  `);
});

test.for([
  { what: 'no kubeconfig', args: () => [], message: /^Cannot find the API server: .*give --kubeconfig\n$/ },
  {
    what: 'one that is not there',
    args: () => ['--kubeconfig', '/nonexistent'],
    message: /^Cannot use the kubeconfig "\/nonexistent": ENOENT.*\n$/,
  },
  {
    what: 'nobody listens',
    args: () => ['--kubeconfig', kubeconfigFor('http://127.0.0.1:1')],
    message: /^Cannot read from the API server: .*ECONNREFUSED.*\n$/,
  },
])('$what: no answer', async ({ args, message }) => {
  const result = await runCommand(explainCommand, ['--source', 'kube', ...QUESTION, ...args()]);
  expect({ ...result, stderr: '' }).toEqual({ exitCode: 2, stdout: '', stderr: '' });
  expect(result.stderr).toMatch(message);
});

test('another source is bad usage', async () => {
  const { exitCode, stderr } = await runCommand(explainCommand, ['--source', 'file:/x', ...QUESTION]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr: "error: option '--source <source>' argument 'file:/x' is invalid. expected agent, dir:PATH or kube\n",
  });
});
