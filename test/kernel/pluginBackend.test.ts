import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { QUARANTINE } from '../../src/rules/pod.ts';
import { isNftables } from './backend.ts';
import { iptablesWorld } from './pluginIptablesWorld.ts';
import { nftWorld } from './pluginNftWorld.ts';
import { expectPods, POD, startNode } from './pluginPods.ts';

// Which backend the plugin takes on a node that has all of them, and so not for those runs in which iptables is not installed.

const NFT = iptablesWorld('iptables-nft');
const LEGACY = iptablesWorld('iptables-legacy');

describe.skipIf(isNftables)('the backend', () => {
  test('is the one that the kubelet or kube-proxy uses, and stays so', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('iptables-legacy -t mangle -N KUBE-KUBELET-CANARY');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPods(LEGACY, node, [{ pod: POD, judgements: QUARANTINE }]);
    await node.shell('iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
    expect((await node.plugin('DEL', POD)).exitCode).toBe(0);
    await expectPods(LEGACY, node, []);
  });

  test('is nftables where kube-proxy writes into a table of its own, whatever the kubelet left', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('nft add table ip kube-proxy; iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPods(nftWorld, node, [{ pod: POD, judgements: QUARANTINE }]);
    expect(await node.shell('nft list ruleset')).not.toContain('NWPLCY');
  });

  test('is iptables-nft where both of its worlds were left a hint', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('for w in nft legacy; do iptables-$w -t mangle -N KUBE-IPTABLES-HINT; done');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPods(NFT, node, [{ pod: POD, judgements: QUARANTINE }]);
  });

  test('is the one with more rules where there is no hint', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('iptables-legacy -t nat -A POSTROUTING -j RETURN');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(readFileSync(`${node.runtimeDir}/backend`, 'utf8')).toBe('iptables-legacy');
  });

  test('is iptables-nft on a fresh node, and no legacy table comes into use by looking', async () => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(readFileSync(`${node.runtimeDir}/backend`, 'utf8')).toBe('iptables-nft');
    expect(await node.shell('cat /proc/net/ip_tables_names')).toBe('');
  });

  test.for([
    { from: LEGACY, to: NFT },
    { from: NFT, to: nftWorld },
    { from: nftWorld, to: LEGACY },
  ])('was $from.backend at ADD and is $to.backend: DEL takes the pod out of the first', async ({ from, to }) => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD, { config: { backend: from.backend } })).exitCode).toBe(0);
    await expectPods(from, node, [{ pod: POD, judgements: QUARANTINE }]);
    expect((await node.plugin('DEL', POD, { config: { backend: to.backend } })).exitCode).toBe(0);
    await expectPods(from, node, []);
  });

  test("is the live agent's; a configuration that names another is refused", async () => {
    const node = await startNode();
    await node.link(POD);
    node.startAgent('iptables-legacy');
    const config = { agentTimeoutMs: 0 };
    expect((await node.plugin('ADD', POD, { config })).exitCode).toBe(0);
    await expectPods(LEGACY, node, [{ pod: POD, judgements: QUARANTINE }]);
    for (const backend of ['iptables-nft', 'nftables']) {
      const { printed } = await node.plugin('ADD', POD, { config: { ...config, backend } });
      expect(printed).toMatchObject({ code: 7, msg: expect.stringMatching(/^Cannot use "backend": /) as unknown });
    }
  });
});
