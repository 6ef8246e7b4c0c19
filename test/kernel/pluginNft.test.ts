import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nftPodChainNames, TABLE_NAME } from '../../src/rules/nftables/names.ts';
import { QUARANTINE } from '../../src/rules/pod.ts';
import { resultFor } from '../helpers/pluginNode.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';
import { isNftables } from './backend.ts';
import { nftWorld } from './pluginNftWorld.ts';
import { expectPods, PLAIN_POD, POD, podFiles, startNode } from './pluginPods.ts';
import { hooksOf } from './pluginWorld.ts';

// What of the plugin is about nftables alone: tables of our own, in one transaction.

describe.skipIf(!isNftables)('nftables', () => {
  const config = { backend: 'nftables' };
  const OTHER = { ...POD, containerId: 'c2', name: 'db', addresses: ['10.5.0.3', 'fd05::3'], link: 'veth2' };

  test('is used where iptables is not installed, and stays so', async () => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPods(nftWorld, node, [{ pod: POD, judgements: QUARANTINE }]);
    expect(readFileSync(`${node.runtimeDir}/backend`, 'utf8')).toBe('nftables');
    // By now somebody has installed it.
    expect((await node.plugin('DEL', POD, { env: { PATH: '/usr/sbin:/usr/bin' } })).exitCode).toBe(0);
    await expectPods(nftWorld, node, []);
  });

  test.for([
    {
      what: 'chains that were emptied',
      spoil: `for c in forward output policies refuse judged settle; do nft flush chain inet ${TABLE_NAME} $c; done
        nft flush chain bridge ${TABLE_NAME} sources`,
    },
    {
      what: 'a map that leads nowhere and a lock without interfaces',
      spoil: `nft flush chain inet ${TABLE_NAME} from-pods; nft delete map inet ${TABLE_NAME} egress6
        nft flush chain bridge ${TABLE_NAME} prerouting`,
    },
    { what: 'a table that sleeps', spoil: `nft add table inet ${TABLE_NAME} '{ flags dormant; }'` },
    { what: 'a table that is gone', spoil: `nft delete table bridge ${TABLE_NAME}` },
  ])('$what: the next ADD puts it right', async ({ spoil }) => {
    const node = await startNode();
    for (const pod of [POD, OTHER]) await node.link(pod);
    await node.plugin('ADD', POD, { config });
    await node.plugin('DEL', POD, { config });
    await node.shell(spoil);
    expect(await nftWorld.read(node)).not.toEqual(nftWorld.holding([]));
    expect((await node.plugin('ADD', OTHER, { config })).exitCode).toBe(0);
    await expectPods(nftWorld, node, [{ pod: OTHER, judgements: QUARANTINE }]);
  });

  test.for(['no agent', 'an agent'])(
    'beside %s CHECK names everything that is missing, and writes nothing',
    async (agent) => {
      const node = await startNode();
      await node.link(PLAIN_POD);
      await node.plugin('ADD', PLAIN_POD, { config });
      if (agent === 'an agent') node.startAgent('nftables');
      expect((await node.plugin('CHECK', PLAIN_POD, { config })).exitCode).toBe(0);
      const { to, from } = nftPodChainNames(hooksOf(POD));
      await node.shell(`nft flush chain inet ${TABLE_NAME} forward; nft delete element inet ${TABLE_NAME} ingress4 '{ 10.5.0.2 }'
      nft delete chain inet ${TABLE_NAME} ${to}; nft delete chain bridge ${TABLE_NAME} prerouting
      nft flush set bridge ${TABLE_NAME} sources4
      nft delete element inet ${TABLE_NAME} egress4 '{ 10.5.0.2 }'; nft add element inet ${TABLE_NAME} egress4 '{ 10.5.0.2 : accept }'`);
      const before = await netfilterSnapshot(node.run);
      const { printed } = await node.plugin('CHECK', PLAIN_POD, { config: { ...config, prevResult: resultFor(POD) } });
      expect(printed).toMatchObject({
        code: 103,
        msg: `Cannot vouch for the pod: not in place is ${[
          'the addresses of prevResult (10.5.0.2, fd05::2; the pod was hooked in with 10.5.0.2)',
          '"jump policies" in forward (inet)',
          'chain prerouting (bridge)',
          `chain ${to}`,
          `element 10.5.0.2 : goto ${to} (ingress4)`,
          `element 10.5.0.2 : goto ${from} (egress4)`,
          'element "veth1" . 10.5.0.2 (sources4)',
        ].join('; ')}`,
      });
      expect(await netfilterSnapshot(node.run)).toEqual(before);
    },
  );

  test.for([
    { what: 'an address that nothing leads from', spoil: "delete element inet kube-nwplcy egress6 '{ fd05::2 }'" },
    { what: 'a source', spoil: 'flush set bridge kube-nwplcy sources6' },
    { what: 'the interface', spoil: 'flush set bridge kube-nwplcy interfaces' },
  ])('CHECK beside an agent misses $what', async ({ spoil }) => {
    const node = await startNode();
    await node.link(POD);
    await node.plugin('ADD', POD, { config });
    node.startAgent('nftables');
    await node.shell(`nft ${spoil}`);
    expect((await node.plugin('CHECK', POD, { config })).printed).toMatchObject({ code: 103 });
  });

  test('CHECK says so when a whole table is gone', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.plugin('ADD', POD, { config });
    await nftWorld.takeAway(node);
    const { printed } = await node.plugin('CHECK', POD, { config });
    expect(printed).toMatchObject({
      code: 103,
      msg: expect.stringMatching(
        /^Cannot vouch for the pod: not in place is table inet kube-nwplcy; table bridge kube-nwplcy; /,
      ) as unknown,
    });
  });

  test('ADD that fails leaves nothing, and says what failed', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell(
      'mkdir /run/stub; printf \'#!/bin/sh\\necho "no such luck" >&2; exit 3\\n\' >/run/stub/nft; chmod +x /run/stub/nft',
    );
    const before = await netfilterSnapshot(node.run);
    const { printed } = await node.plugin('ADD', POD, { config, env: { PATH: `/run/stub:${node.path}` } });
    expect(printed).toMatchObject({
      code: 102,
      details: expect.stringMatching(/nft --file -": exit code 3, no such luck$/) as unknown,
    });
    expect(podFiles(node)).toEqual([]);
    expect(await netfilterSnapshot(node.run)).toEqual(before);
  });

  test('an address that an earlier pod still has is taken over, and the late DEL of that pod leaves it alone', async () => {
    const node = await startNode();
    const heir = { ...OTHER, addresses: POD.addresses };
    for (const pod of [POD, heir]) await node.link(pod);
    await node.plugin('ADD', POD, { config });
    expect((await node.plugin('ADD', heir, { config })).exitCode).toBe(0);
    expect((await node.plugin('CHECK', heir, { config })).exitCode).toBe(0);
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectPods(nftWorld, node, [{ pod: heir, judgements: QUARANTINE }]);
  });
});
