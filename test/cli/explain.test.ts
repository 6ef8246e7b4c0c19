import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { explainCommand } from '../../src/cli/explain.ts';
import type { Explanation } from '../../src/policy/explain.ts';
import { runCommand } from '../helpers/commandLine.ts';
import { directoryOf, exampleDirectory } from '../helpers/exampleSource.ts';
import { namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

async function explain(directory: string, question: string) {
  const [from = '', , to = '', port = '', ...others] = question.split(' ');
  const args = ['--source', `dir:${directory}`, '--from', from, '--to', to, '--port', port, ...others];
  const { exitCode, stdout, stderr } = await runCommand(explainCommand, args);
  return { exitCode, stdout: stdout.replaceAll(directory, 'DIR'), stderr: stderr.replaceAll(directory, 'DIR') };
}

describe('of the example test-network-policy', () => {
  const directory = exampleDirectory('test-network-policy');

  test('an allowed connection is told with its rules', async () => {
    const { exitCode, stdout } = await explain(directory, 'default/frontend > default/db 6379/TCP');
    expect(exitCode).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "ALLOWED  default/frontend → default/db  6379/TCP

      egress   default/frontend: open: no policy selects it for egress
      ingress  default/db: allowed
               ✓ default/test-network-policy (DIR/test-network-policy.yaml:7) spec.ingress[0].from[2], ports[0]
      "
    `);
  });

  test('a denied one with what is missing', async () => {
    const { exitCode, stdout } = await explain(directory, 'default/backend > default/db 6379/UDP');
    expect(exitCode).toBe(1);
    expect(stdout).toMatchInlineSnapshot(`
      "DENIED  default/backend → default/db  6379/UDP

      egress   default/backend: open: no policy selects it for egress
      ingress  default/db: refused: one policy isolates it, and no rule allows this
               ✗ default/test-network-policy (DIR/test-network-policy.yaml:7), nearest rule: spec.ingress[0].from[2], ports[0]
                   pod default/backend has label role=backend: the rule wants role=frontend
                   protocol is UDP: the rule wants TCP
      "
    `);
  });

  test('an address is held against networks and their exceptions', async () => {
    const { stdout } = await explain(directory, '172.17.1.77 > default/db 6379');
    expect(stdout).toMatchInlineSnapshot(`
      "DENIED  172.17.1.77 (no pod) → default/db  6379/TCP

      egress   172.17.1.77: not judged: it is no pod with a network of its own
      ingress  default/db: refused: one policy isolates it, and no rule allows this
               ✗ default/test-network-policy (DIR/test-network-policy.yaml:7), nearest rule: spec.ingress[0].from[0], ports[0]
                   172.17.1.77 is in 172.17.1.0/24, which the rule excepts
      "
    `);
  });

  test('JSON has the same', async () => {
    const { stdout, exitCode } = await explain(directory, 'default/frontend > default/db 6379/TCP --output json');
    const { allowed, egress, ingress } = JSON.parse(stdout) as Explanation;
    expect({ exitCode, allowed, egress, ingress }).toEqual({
      exitCode: 0,
      allowed: true,
      egress: { kind: 'notIsolated', otherDirection: [] },
      ingress: {
        kind: 'allowed',
        by: [
          {
            policy: 'default/test-network-policy',
            rule: 0,
            peer: 2,
            port: 0,
            peerPath: 'spec.ingress[0].from[2]',
            portPath: 'spec.ingress[0].ports[0]',
          },
        ],
      },
    });
  });
});

const SPECIAL: readonly Manifest[] = [
  namespace('shop', { team: 'a' }),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.1'], ports: [{ name: 'redis', containerPort: 6379 }] }),
  pod('shop/web', { labels: { app: 'web', tier: 'x' }, addresses: ['10.0.0.2'] }),
  pod('shop/proxy', { addresses: ['192.168.0.2'], nodeName: 'node-2', hostNetwork: true }),
  pod('shop/job', { addresses: ['10.0.0.2'], phase: 'Succeeded' }),
  pod('shop/late', { nodeName: '' }),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [
      {
        from: [
          {
            podSelector: {
              matchLabels: { app: 'api' },
              matchExpressions: [
                { key: 'tier', operator: 'NotIn', values: ['x', 'y'] },
                { key: 'old', operator: 'Exists' },
              ],
            },
          },
        ],
        ports: [{ port: 'admin' }],
      },
    ],
  }),
  policy('shop/none', { podSelector: {}, policyTypes: ['Egress'], egress: [] }),
  policy('shop/out', {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 1000, endPort: 2000 }] }, {}],
  }),
];

test.for([
  { what: 'several labels and a port name that nothing has', flow: 'shop/web > shop/db 6379' },
  { what: 'a pod and itself', flow: 'shop/db > shop/db 6379' },
  { what: 'hostNetwork', flow: 'shop/proxy > shop/db 6379' },
  { what: 'the address of a node, to a pod of another', flow: 'shop/db > 192.168.0.2 80' },
  { what: 'a pod that has ended and whose address another has', flow: 'shop/job > shop/db 6379' },
  { what: 'an address that nobody has', flow: 'shop/late > 8.8.8.8 53/UDP' },
])('$what', async ({ flow }) => {
  const { stdout } = await explain(directoryOf(SPECIAL), flow);
  await expect(stdout).toMatchFileSnapshot(`explain/${flow.replaceAll(/[^a-z0-9.]+/g, '-')}.txt`);
});

describe('no answer is exit code 2, and says why', () => {
  test.for([
    { flow: 'shop/we > shop/db 80', message: 'Cannot use "shop/we": there is no such pod; did you mean shop/web?\n' },
    {
      flow: 'web > shop/db 80',
      message: 'Cannot use "web": expected NAMESPACE/POD or an address; did you mean shop/web?\n',
    },
    {
      flow: '10.0.0.0/8 > shop/db 80',
      message: 'Cannot use "10.0.0.0/8": a network has many addresses; give one of them\n',
    },
    {
      flow: 'a/\u001b[2J > shop/db 80',
      message: 'Cannot use "a/\\u001b[2J": there is no such pod\n',
    },
  ])('$flow', async ({ flow, message }) => {
    expect(await explain(directoryOf(SPECIAL), flow)).toEqual({ exitCode: 2, stdout: '', stderr: message });
  });

  test('a port that is none', async () => {
    const { exitCode, stderr } = await explain(directoryOf(SPECIAL), 'shop/web > shop/db 0/TCP');
    expect({ exitCode, stderr }).toMatchInlineSnapshot(`
      {
        "exitCode": 2,
        "stderr": "error: option '--port <port>' argument '0/TCP' is invalid. expected a port and a protocol, e.g. 6379/TCP, 53/UDP or 7777/SCTP
      ",
      }
    `);
  });

  test('a manifest that cannot be used: without its policy a pod would look open', async () => {
    const directory = directoryOf(SPECIAL);
    mkdirSync(join(directory, 'sub'));
    writeFileSync(
      join(directory, 'sub', 'bad\u001b.yaml'),
      'kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nspec: { pods: 1 }\n',
    );
    const { exitCode, stdout, stderr } = await explain(directory, 'shop/web > shop/db 80');
    expect({ exitCode, stdout, stderr }).toMatchInlineSnapshot(`
      {
        "exitCode": 2,
        "stderr": "DIR/sub/bad\\u{1b}.yaml:1: metadata.name: Missing name: every object has one
      DIR/sub/bad\\u{1b}.yaml:3: spec.pods: Unknown field "pods": expected "podSelector", "policyTypes", "ingress", "egress"
      ",
        "stdout": "",
      }
    `);
  });

  test('a directory that is not there', async () => {
    expect(await explain('/nonexistent', 'shop/web > shop/db 80')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'Cannot read "DIR": ENOENT: no such file or directory, stat \'DIR\'\n',
    });
  });
});
