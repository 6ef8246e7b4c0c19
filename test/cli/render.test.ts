import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderCommand, renderNode } from '../../src/cli/render.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { runCommand } from '../helpers/commandLine.ts';
import { directoryOf } from '../helpers/exampleSource.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const SHOP = [
  namespace('shop'),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.244.1.2'] }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.244.2.2', 'fd00::2'], nodeName: 'node-2' }),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 6379 }] }],
  }),
];

function render(args: readonly string[]) {
  return runCommand(renderCommand, ['--source', `dir:${directoryOf(SHOP)}`, ...args]);
}

test('a node has its sets, then the rules of each family, each with what it is for', async () => {
  const { exitCode, stdout, stderr } = await render(['--node-name', 'node-1']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  await expect(stdout).toMatchFileSnapshot('render/node-1.txt');
});

test('one section is what its program takes, and JSON has all three', async () => {
  const { stdout } = await render(['--node-name', 'node-1', '--output', 'json']);
  const sections = JSON.parse(stdout) as Readonly<Record<string, string>>;
  expect(Object.keys(sections)).toEqual(['ipset', 'iptables', 'ip6tables']);
  for (const [name, text] of Object.entries(sections))
    expect((await render(['--node-name', 'node-1', '--only', name])).stdout).toBe(text);
});

test('a node that no pod is on has the chains that always stand, and a note', async () => {
  const { exitCode, stdout, stderr } = await render(['--node-name', 'node-x', '--only', 'ipset']);
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'No pod is on node "node-x": there are pods on node-1, node-2\n',
  });
});

describe('of generated clusters', () => {
  test('the text is the same in whatever order the objects come', () => {
    const isSame = fc.property(clusterManifests, (manifests) => {
      const text = renderNode(clusterOf(manifests), 'node-1');
      expect(renderNode(clusterOf(manifests.toReversed()), 'node-1')).toEqual(text);
    });
    fc.assert(isSame, { numRuns: 100 });
  });

  test('every set that a rule names is made', () => {
    const isMade = fc.property(clusterManifests, (manifests) => {
      const { ipset, rules } = renderNode(clusterOf(manifests), 'node-1');
      const named = `${rules.ipv4}${rules.ipv6}`.matchAll(/--match-set (\S+)/g).map(([, name]) => name);
      const made = new Set(ipset.matchAll(/^create (\S+)/gm).map(([, name]) => name));
      expect([...named].filter((name) => !made.has(name))).toEqual([]);
    });
    fc.assert(isMade, { numRuns: 100 });
  });
});
