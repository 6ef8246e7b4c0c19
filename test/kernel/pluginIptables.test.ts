import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { JUMPS, rejectChain } from '../../src/rules/iptables/entryChains.ts';
import { podHookRules, TO_SOURCES } from '../../src/rules/iptables/hooks.ts';
import { podChainNames } from '../../src/rules/iptables/podRestore.ts';
import { EGRESS_CHAIN, INGRESS_CHAIN, REJECT_CHAIN } from '../../src/rules/names.ts';
import { resultFor } from '../helpers/pluginNode.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';
import { isNftables } from './backend.ts';
import { chainsOf, iptablesWorld } from './pluginIptablesWorld.ts';
import { PLAIN_POD, POD, podFiles, startNode, until } from './pluginPods.ts';
import { hooksOf } from './pluginWorld.ts';

// What of the plugin is about iptables alone: jumps in chains that others have too, two families that are written one after the other, a lock.

describe.skipIf(isNftables).for(['iptables-nft', 'iptables-legacy'] as const)('%s', (backend) => {
  const variant = backend.slice('iptables-'.length);

  test('a jump that was taken out or pushed back, and chains that were emptied, are put right by the next ADD', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    await node.shell(
      `iptables-${variant} -I FORWARD -j ACCEPT; iptables-${variant} -F OUTPUT; ip6tables-${variant} -F`,
    );
    const other = { ...POD, containerId: 'c2', name: 'db', addresses: ['10.5.0.3', 'fd05::3'] };
    expect((await node.plugin('ADD', other, { config })).exitCode).toBe(0);
    const ipv4 = await chainsOf(node, { backend, family: 'ipv4' });
    expect([ipv4.get('FORWARD'), ipv4.get('OUTPUT')]).toEqual([[JUMPS.FORWARD, '-j ACCEPT'], [JUMPS.OUTPUT]]);
    const ipv6 = await chainsOf(node, { backend, family: 'ipv6' });
    expect([ipv6.get('FORWARD'), ipv6.get('OUTPUT'), ipv6.get(REJECT_CHAIN), ipv6.get(EGRESS_CHAIN)?.at(-1)]).toEqual([
      [JUMPS.FORWARD],
      [JUMPS.OUTPUT],
      rejectChain('ipv6').rules,
      TO_SOURCES,
    ]);
  });

  test.for(['no agent', 'an agent'])(
    'beside %s CHECK names everything that is missing, and writes nothing',
    async (agent) => {
      const node = await startNode();
      await node.link(PLAIN_POD);
      const config = { backend };
      await node.plugin('ADD', PLAIN_POD, { config });
      if (agent === 'an agent') node.startAgent(backend);
      expect((await node.plugin('CHECK', PLAIN_POD, { config })).exitCode).toBe(0);
      const [ingress = ''] = podChainNames(hooksOf(POD));
      await node.shell(
        `iptables-${variant} -F FORWARD; iptables-${variant} -F ${INGRESS_CHAIN}; iptables-${variant} -F ${ingress}; iptables-${variant} -X ${ingress}`,
      );
      const before = await netfilterSnapshot(node.run);
      const { printed } = await node.plugin('CHECK', PLAIN_POD, { config: { backend, prevResult: resultFor(POD) } });
      expect(printed).toMatchObject({
        code: 103,
        msg: `Cannot vouch for the pod: not in place is ${[
          'the addresses of prevResult (10.5.0.2, fd05::2; the pod was hooked in with 10.5.0.2)',
          `ipv4: chain ${ingress}`,
          `ipv4: hook "${podHookRules(hooksOf(POD), 'ipv4').at(-1)?.rule}" in ${INGRESS_CHAIN}`,
          `ipv4: "${JUMPS.FORWARD}" in FORWARD`,
        ].join('; ')}`,
      });
      expect(await netfilterSnapshot(node.run)).toEqual(before);
    },
  );

  test.for([0, 1, 2])('CHECK beside an agent misses hook %i', async (index) => {
    const node = await startNode();
    await node.link(PLAIN_POD);
    await node.plugin('ADD', PLAIN_POD, { config: { backend } });
    node.startAgent(backend);
    const hook = podHookRules(hooksOf(PLAIN_POD), 'ipv4')[index];
    await node.shell(`iptables-${variant} -D ${hook?.chain} ${hook?.rule}`);
    expect((await node.plugin('CHECK', PLAIN_POD, { config: { backend } })).printed).toMatchObject({
      msg: `Cannot vouch for the pod: not in place is ipv4: hook "${hook?.rule}" in ${hook?.chain}`,
    });
  });

  test('ADD that fails half-way leaves nothing, and says what failed', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell(
      `mkdir /run/stub; printf '#!/bin/sh\\necho "no such luck" >&2; exit 3\\n' >/run/stub/ip6tables-${variant}-restore; chmod +x /run/stub/*`,
    );
    const env = { PATH: `/run/stub:${node.path}` };
    const { printed } = await node.plugin('ADD', POD, { config: { backend }, env });
    expect(printed).toMatchObject({
      code: 102,
      details: expect.stringMatching(/ip6tables-\w+-restore .*: exit code 3, no such luck$/) as unknown,
    });
    expect(podFiles(node)).toEqual([]);
    const { ipv4: wanted } = iptablesWorld(backend).holding([]) as { readonly ipv4: unknown };
    expect(await iptablesWorld(backend).read(node)).toMatchObject({ ipv4: wanted });
    // The family that the pod has no address in is only locked: that cannot be a reason to refuse it.
    expect((await node.plugin('ADD', PLAIN_POD, { config: { backend }, env })).exitCode).toBe(0);
    expect((await node.plugin('DEL', PLAIN_POD, { config: { backend }, env })).exitCode).toBe(0);
    expect((await node.plugin('DEL', { ...POD, containerId: 'never' }, { config: { backend }, env })).exitCode).toBe(0);
  });
});

test.skipIf(isNftables)('a lock that somebody holds is waited for', async () => {
  const node = await startNode();
  await node.link(POD);
  const held = node.shell('exec flock /run/xtables.lock sleep 1');
  await until(() => existsSync(node.inside('/run/xtables.lock')));
  expect((await node.plugin('ADD', POD, { config: { backend: 'iptables-legacy' } })).exitCode).toBe(0);
  await held;
});
