import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderCommand, renderNode } from '../../src/cli/render.ts';
import { RECORD_PLACES } from '../../src/rules/flowRecords.ts';
import { recordSetLines } from '../../src/rules/iptables/endChains.ts';
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

test('for nftables a node has both tables, each chain and set with what it is for', async () => {
  const { exitCode, stdout, stderr } = await render(['--node-name', 'node-1', '--backend', 'nftables']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  await expect(stdout).toMatchFileSnapshot('render/node-1.nft');
});

test.for([
  ['iptables', 'nftables'],
  ['nftables', 'ipset'],
])('of backend %s there is no section %s', async ([backend = '', section = '']) => {
  const { exitCode, stderr } = await render(['--node-name', 'node-1', '--backend', backend, '--only', section]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr: `Cannot print only "${section}": it is no part of "--backend ${backend}"\n`,
  });
});

test('a node that no pod is on has the chains that always stand, and a note', async () => {
  const { exitCode, stdout, stderr } = await render(['--node-name', 'node-x', '--only', 'ipset']);
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 0,
    // Of peers there are none.
    stdout: RECORD_PLACES.flatMap(recordSetLines)
      .map((line) => `${line}\n`)
      .join(''),
    stderr: 'No pod is on node "node-x": there are pods on node-1, node-2\n',
  });
});

describe('of generated clusters', () => {
  test.for(['nftables', 'iptables'] as const)(
    'of %s the text is the same in whatever order the objects come',
    (backend) => {
      const isSame = fc.property(clusterManifests, (manifests) => {
        const rendered = (objects: typeof manifests) => renderNode(clusterOf(objects), { nodeName: 'node-1', backend });
        expect(rendered(manifests.toReversed())).toEqual(rendered(manifests));
      });
      fc.assert(isSame, { numRuns: 100 });
    },
  );

  test('every set that a rule names is made', () => {
    const isMade = fc.property(clusterManifests, (manifests) => {
      const rendered = renderNode(clusterOf(manifests), { nodeName: 'node-1', backend: 'iptables' });
      const { ipset = '', iptables, ip6tables } = Object.fromEntries(rendered);
      const named = `${iptables}${ip6tables}`.matchAll(/--match-set (\S+)/g).map(([, name]) => name);
      const made = new Set(ipset.matchAll(/^create (\S+)/gm).map(([, name]) => name));
      expect([...named].filter((name) => !made.has(name))).toEqual([]);
    });
    fc.assert(isMade, { numRuns: 100 });
  });
});
