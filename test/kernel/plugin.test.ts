import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { IP_FAMILIES, type IpFamily } from '../../src/net/family.ts';
import { isAcknowledged, readAttachment } from '../../src/rendezvous/attachment.ts';
import { currentGeneration } from '../../src/rendezvous/generation.ts';
import { entryChain, JUMPS, rejectChain, STANDING_CHAINS } from '../../src/rules/entryChains.ts';
import { parseChains } from '../../src/rules/kernelChains.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, INGRESS_CHAIN, REJECT_CHAIN } from '../../src/rules/names.ts';
import { podChains, podHookRules, type PodHooks, type PodJudgements } from '../../src/rules/podChains.ts';
import { podChainNames, withHooks } from '../../src/rules/podRestore.ts';
import { PluginNode, resultFor, type Answer, type Pod } from '../helpers/pluginNode.ts';
import { output } from '../lab/run.ts';
import { filesSnapshot, netfilterSnapshot } from '../lab/snapshot.ts';
import { withoutOldGenerations } from './settled.ts';

// The plugin against the real kernel, in every world that it may find. Whether packets then pass is for the tests with an agent.

const BACKENDS: readonly Backend[] = ['iptables-nft', 'iptables-legacy'];
const QUARANTINE: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };
const OPEN: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };

const POD: Pod = {
  containerId: 'c1',
  name: 'web',
  uid: 'u1',
  addresses: ['10.5.0.2', 'fd05::2'],
  link: 'veth1',
  bridged: true,
};
const PLAIN_POD: Pod = { ...POD, addresses: ['10.5.0.2'] };

async function startNode(): Promise<PluginNode> {
  const node = await PluginNode.start();
  onTestFinished(() => node[Symbol.dispose]());
  return node;
}

function hooksOf({ containerId, name, addresses, link, bridged }: Pod): PodHooks {
  return { containerId, ifName: 'eth0', namespace: 'shop', name, addresses, hostInterface: link, bridged };
}

/** Returns the filter table's chains in one world of one family. */
async function chainsOf(
  node: PluginNode,
  { backend, family }: { backend: Backend; family: IpFamily },
): Promise<Map<string, readonly string[]>> {
  const command = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-${backend.slice('iptables-'.length)}`;
  return new Map(parseChains(await output(node.run, [command, '-S'])));
}

/** Returns the same as `chainsOf` for a node that holds these pods, in the order in which they came, and nothing of anybody else. */
function chainsFor(
  pods: readonly { readonly pod: Pod; readonly judgements: PodJudgements }[],
  { family, generation }: { family: IpFamily; generation: number },
) {
  const chains = pods.flatMap(({ pod, judgements }) => podChains(hooksOf(pod), { family, judgements }));
  const hooks = pods.map(({ pod }) => podHookRules(hooksOf(pod), family));
  return new Map([
    ['INPUT', []],
    ['FORWARD', [JUMPS.FORWARD]],
    ['OUTPUT', [JUMPS.OUTPUT]],
    ...STANDING_CHAINS.map((name) => [name, []] as const),
    [REJECT_CHAIN, rejectChain(family).rules],
    [ENTRY_CHAIN, entryChain(family, generationMark(generation, DEFAULT_MARK_MASK)).rules],
    [EGRESS_CHAIN, hooks.reduce<readonly string[]>((present, rules) => withHooks(present, rules[EGRESS_CHAIN]), [])],
    [INGRESS_CHAIN, hooks.reduce<readonly string[]>((present, rules) => withHooks(present, rules[INGRESS_CHAIN]), [])],
    ...chains.map(({ name, rules }) => [name, rules] as const),
  ]);
}

function withoutGeneration(chains: ReadonlyMap<string, readonly string[]>): unknown {
  // What is behind the newest generation is dead.
  const living = (name: string, rules: readonly string[]) =>
    name === ENTRY_CHAIN ? rules.slice(0, rules.indexOf('-j RETURN') + 1) : rules;
  const entries = [...chains].map(
    ([name, rules]) =>
      [name, living(name, rules).map((rule) => rule.replace(/0x[0-9a-f]+\/0xffff0000/, 'MARK'))] as const,
  );
  return new Map(entries);
}

/** Compares the whole filter table, but for the values of generations. */
async function expectTable(node: PluginNode, backend: Backend, pods: Parameters<typeof chainsFor>[0]): Promise<void> {
  for (const family of IP_FAMILIES) {
    const wanted = chainsFor(pods, { family, generation: 1 });
    expect(withoutGeneration(await chainsOf(node, { backend, family }))).toEqual(withoutGeneration(wanted));
  }
}

/** Returns the files about pods that are in runtimeDir. */
function podFiles(node: PluginNode): readonly string[] {
  return Object.keys(filesSnapshot(node.runtimeDir)).filter((path) =>
    /^(attachments|hooked|acknowledged)\//.test(path),
  );
}

/** Returns everything in netfilter but what is ours by name. */
async function foreign(node: PluginNode): Promise<unknown> {
  const ours = /^\tchain (?:KUBE-)?NWPLCY[^}]*\}\n/gm;
  const snapshot = Object.entries(await netfilterSnapshot(node.run));
  return snapshot.map(([command, text]) => {
    const lines = text.replaceAll(ours, '').split('\n');
    return [command, lines.filter((line) => line !== '' && !line.includes('NWPLCY'))];
  });
}

function codeOf({ exitCode, printed }: Answer): unknown {
  expect(exitCode).toBe(1);
  return printed?.['code'];
}

async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks += 1) {
    if (looks > 1000) throw new Error(`Waited in vain for ${holds.toString()}`);
    await sleep(10);
  }
}

describe.for(BACKENDS)('%s, no agent', (backend) => {
  describe.for([
    { bridged: true, addresses: ['10.5.0.2'] },
    { bridged: false, addresses: ['10.5.0.2'] },
    { bridged: true, addresses: ['fd05::2'] },
    { bridged: false, addresses: ['10.5.0.2', '10.6.0.2', 'fd05::2'] },
    { bridged: true, addresses: ['10.5.0.2', 'fd05::2'] },
  ])('bridged: $bridged, $addresses', (shape) => {
    test('ADD quarantines and locks both families, CHECK agrees, DEL leaves nothing, each of them twice', async () => {
      const node = await startNode();
      const pod = { ...POD, ...shape };
      await node.link(pod);
      const config = { backend };
      for (const _ of [1, 2]) {
        expect(await node.plugin('ADD', pod, { config })).toEqual({ exitCode: 0, printed: resultFor(pod) });
        await expectTable(node, backend, [{ pod, judgements: QUARANTINE }]);
      }
      expect(readAttachment(node.runtimeDir, hooksOf(pod))).toEqual({
        ...hooksOf(pod),
        uid: 'u1',
        network: 'pods',
        netns: '/run/netns/pod',
        markMask: DEFAULT_MARK_MASK,
        judgements: QUARANTINE,
      });
      expect(await node.plugin('CHECK', pod, { config })).toEqual({ exitCode: 0, printed: undefined });
      for (const _ of [1, 2]) {
        const del = { config: { backend, prevResult: undefined }, env: { CNI_NETNS: '', CNI_ARGS: '' } };
        expect(await node.plugin('DEL', pod, del)).toEqual({ exitCode: 0, printed: undefined });
        await expectTable(node, backend, []);
        expect(podFiles(node)).toEqual([]);
      }
      expect(await node.shell(`cat /sys/class/net/${pod.link}/flags`)).toMatch(/[02468ace]\n$/);
    });
  });

  test('twenty ADDs at once on a fresh kernel, then twenty DELs: none is lost, nothing is left', async () => {
    const node = await startNode();
    const numbers = Array.from({ length: 20 }, (_, index) => index + 2);
    const pods = numbers.map((n) => ({
      ...POD,
      containerId: `c${n}`,
      name: `web-${n}`,
      addresses: [`10.5.0.${n}`, `fd05::${n}`],
      link: `veth${n}`,
    }));
    for (const pod of pods) await node.link(pod);
    const config = { backend };
    const added = await Promise.all(pods.map((pod) => node.plugin('ADD', pod, { config })));
    expect(added.map(({ exitCode, printed }) => [exitCode, printed?.['msg'], printed?.['details']])).toEqual(
      pods.map(() => [0, undefined, undefined]),
    );
    for (const family of IP_FAMILIES) {
      const chains = await chainsOf(node, { backend, family });
      const wanted = chainsFor(
        pods.map((pod) => ({ pod, judgements: QUARANTINE })),
        { family, generation: 1 },
      );
      // The order of their hooks is the order in which they came.
      expect([...chains.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
      expect(chains.get(EGRESS_CHAIN)?.toSorted()).toEqual(wanted.get(EGRESS_CHAIN)?.toSorted());
      expect(chains.get('FORWARD')).toEqual([JUMPS.FORWARD]);
    }
    const deleted = await Promise.all(pods.map((pod) => node.plugin('DEL', pod, { config })));
    expect(deleted).toEqual(pods.map(() => ({ exitCode: 0, printed: undefined })));
    await expectTable(node, backend, []);
    expect(podFiles(node)).toEqual([]);
  });

  test('the rules of others stay as they are, whatever they are', async () => {
    const node = await startNode();
    await node.link(POD);
    const world = backend.slice('iptables-'.length);
    await node.shell(`for t in iptables ip6tables; do
      $t-${world} -N CANARY; $t-${world} -A CANARY -m comment --comment "a  b" -j ACCEPT
      $t-${world} -A FORWARD -i lo -j CANARY; $t-${world} -P FORWARD DROP; $t-${world} -A OUTPUT -o lo -j ACCEPT
      $t-${world} -t nat -A POSTROUTING -o lo -j MASQUERADE; $t-${world} -t mangle -A FORWARD -j MARK --set-mark 5
    done
    nft add table inet other; nft add chain inet other forward '{ type filter hook forward priority 5; }'
    nft add rule inet other forward meta mark set numgen inc mod 4`);
    // iptables-nft cannot print this one, and refuses to list the chain that holds it.
    if (backend === 'iptables-nft')
      await node.shell('nft insert rule ip filter FORWARD meta mark set numgen inc mod 4');
    const before = await foreign(node);
    const config = { backend };
    expect((await node.plugin('ADD', POD, { config })).exitCode).toBe(0);
    expect(await foreign(node)).toEqual(before);
    expect((await node.plugin('ADD', { ...POD, containerId: 'c2' }, { config })).exitCode).toBe(0);
    expect((await node.plugin('CHECK', POD, { config })).exitCode).toBe(0);
    for (const containerId of ['c1', 'c2'])
      expect((await node.plugin('DEL', { ...POD, containerId }, { config })).exitCode).toBe(0);
    expect(await foreign(node)).toEqual(before);
  });

  test('a jump that was taken out or pushed back, and chains that were emptied, are put right by the next ADD', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    const world = backend.slice('iptables-'.length);
    await node.shell(`iptables-${world} -I FORWARD -j ACCEPT; iptables-${world} -F OUTPUT; ip6tables-${world} -F`);
    const other = { ...POD, containerId: 'c2', name: 'db', addresses: ['10.5.0.3', 'fd05::3'] };
    expect((await node.plugin('ADD', other, { config })).exitCode).toBe(0);
    const ipv4 = await chainsOf(node, { backend, family: 'ipv4' });
    expect([ipv4.get('FORWARD'), ipv4.get('OUTPUT')]).toEqual([[JUMPS.FORWARD, '-j ACCEPT'], [JUMPS.OUTPUT]]);
    const ipv6 = await chainsOf(node, { backend, family: 'ipv6' });
    expect([ipv6.get('FORWARD'), ipv6.get('OUTPUT'), ipv6.get(REJECT_CHAIN)]).toEqual([
      [JUMPS.FORWARD],
      [JUMPS.OUTPUT],
      rejectChain('ipv6').rules,
    ]);
  });

  test('CHECK names everything that is missing, and writes nothing', async () => {
    const node = await startNode();
    await node.link(PLAIN_POD);
    const config = { backend };
    await node.plugin('ADD', PLAIN_POD, { config });
    const world = backend.slice('iptables-'.length);
    const [ingress = ''] = podChainNames(hooksOf(POD));
    await node.shell(
      `iptables-${world} -F FORWARD; iptables-${world} -F ${INGRESS_CHAIN}; iptables-${world} -F ${ingress}; iptables-${world} -X ${ingress}`,
    );
    const before = await netfilterSnapshot(node.run);
    const { printed } = await node.plugin('CHECK', PLAIN_POD, { config: { backend, prevResult: resultFor(POD) } });
    expect(printed).toMatchObject({
      code: 103,
      msg: `Cannot vouch for the pod: not in place is ${[
        'the addresses of prevResult (10.5.0.2, fd05::2; the pod was hooked in with 10.5.0.2)',
        `ipv4: chain ${ingress}`,
        `ipv4: hook "${podHookRules(hooksOf(POD), 'ipv4')[INGRESS_CHAIN].join('')}" in ${INGRESS_CHAIN}`,
        `ipv4: "${JUMPS.FORWARD}" in FORWARD`,
      ].join('; ')}`,
    });
    expect(await netfilterSnapshot(node.run)).toEqual(before);
  });

  test('a pod whose rules are half gone, or were hooked in twice, is taken out whole', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    const world = backend.slice('iptables-'.length);
    await node.plugin('ADD', POD, { config });
    await node.shell(`iptables-${world} -D ${INGRESS_CHAIN} 1; ip6tables-${world} -F ${EGRESS_CHAIN}`);
    await node.shell(
      `ip6tables-${world} -I ${INGRESS_CHAIN} -d fd05::2 -m comment --comment shop/web -g ${podChainNames(hooksOf(POD))[0] ?? ''}`,
    );
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectTable(node, backend, []);
  });

  test('without its record a pod is taken out by its name alone', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    await node.shell('rm -r /run/kube-nwplcy');
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectTable(node, backend, []);
  });

  test('ADD that comes again with other addresses replaces what was there', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    const moved = { ...POD, addresses: ['10.5.0.9'] };
    expect((await node.plugin('ADD', moved, { config })).exitCode).toBe(0);
    await expectTable(node, backend, [{ pod: moved, judgements: QUARANTINE }]);
  });

  test('whenAgentDown: allow leaves the pod open, its sources locked', async () => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD, { config: { backend, whenAgentDown: 'allow' } })).exitCode).toBe(0);
    await expectTable(node, backend, [{ pod: POD, judgements: OPEN }]);
  });

  test('ADD that fails half-way leaves nothing, and says what failed', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell(
      `mkdir /run/stub; printf '#!/bin/sh\\necho "no such luck" >&2; exit 3\\n' >/run/stub/ip6tables-${backend.slice('iptables-'.length)}-restore; chmod +x /run/stub/*`,
    );
    const env = { PATH: `/run/stub:${node.variables['PATH'] ?? ''}` };
    const { printed } = await node.plugin('ADD', POD, { config: { backend }, env });
    expect(printed).toMatchObject({
      code: 102,
      details: expect.stringMatching(/ip6tables-\w+-restore .*: exit code 3, no such luck$/) as unknown,
    });
    expect(podFiles(node)).toEqual([]);
    const wanted = withoutGeneration(chainsFor([], { family: 'ipv4', generation: 1 }));
    expect(withoutGeneration(await chainsOf(node, { backend, family: 'ipv4' }))).toEqual(wanted);
    // The family that the pod has no address in is only locked: that cannot be a reason to refuse it.
    expect((await node.plugin('ADD', PLAIN_POD, { config: { backend }, env })).exitCode).toBe(0);
    expect((await node.plugin('DEL', PLAIN_POD, { config: { backend }, env })).exitCode).toBe(0);
    expect((await node.plugin('DEL', { ...POD, containerId: 'never' }, { config: { backend }, env })).exitCode).toBe(0);
  });

  test('DEL that cannot reach the kernel fails, forgets nothing, and the next one takes the pod out', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    const without = { config, env: { PATH: '/nowhere' } };
    expect(codeOf(await node.plugin('DEL', POD, without))).toBe(101);
    expect(codeOf(await node.plugin('DEL', POD, without))).toBe(101);
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectTable(node, backend, []);
    expect((await node.plugin('DEL', POD, without)).exitCode).toBe(0);
  });
});

describe.for(BACKENDS)('%s, an agent', (backend) => {
  const PROFILE = 'NWPLCY-AAAAAAAAAAAAAAAAAAAA';
  const judgements: PodJudgements = { ingress: { kind: 'profile', chain: PROFILE }, egress: { kind: 'open' } };
  const expected = [{ namespace: 'shop', name: 'web', uids: ['u1'], judgements }];

  /** A node whose agent has put its standing chains and a profile there. */
  async function startNodeWithAgent(options: Parameters<PluginNode['startAgent']>[1]): Promise<PluginNode> {
    const node = await startNode();
    const first = { ...POD, containerId: 'first', link: 'veth0' };
    for (const pod of [first, POD]) await node.link(pod);
    await node.plugin('ADD', first, { config: { backend } });
    await node.plugin('DEL', first, { config: { backend } });
    const world = backend.slice('iptables-'.length);
    await node.shell(
      `for t in iptables ip6tables; do $t-${world} -N ${PROFILE}; $t-${world} -A ${PROFILE} -g ${REJECT_CHAIN}; done`,
    );
    node.startAgent(backend, options);
    return node;
  }

  async function podRules(node: PluginNode, family: IpFamily): Promise<unknown> {
    const chains = await chainsOf(node, { backend, family });
    return [...podChainNames(hooksOf(POD)), EGRESS_CHAIN, INGRESS_CHAIN].map((name) => chains.get(name));
  }

  async function untilHooked(node: PluginNode): Promise<void> {
    const chain = podChainNames(hooksOf(POD))[0] ?? '';
    while (!(await chainsOf(node, { backend, family: 'ipv6' })).has(chain)) await sleep(10);
  }

  function podRulesFor(family: IpFamily, pod: { readonly judgements: PodJudgements }): unknown {
    const chains = chainsFor([{ pod: POD, ...pod }], { family, generation: 1 });
    return [...podChainNames(hooksOf(POD)), EGRESS_CHAIN, INGRESS_CHAIN].map((name) => chains.get(name));
  }

  test('ADD judges the pod as the agent expects, in a new generation for each family', async () => {
    const node = await startNodeWithAgent({ expected });
    const before = currentGeneration(node.runtimeDir) ?? 0;
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    for (const family of IP_FAMILIES) expect(await podRules(node, family)).toEqual(podRulesFor(family, { judgements }));
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(judgements);
    expect(isAcknowledged(node.runtimeDir, hooksOf(POD))).toBe(true);
    expect(currentGeneration(node.runtimeDir)).toBe(before + 2);
    const ipv6 = await chainsOf(node, { backend, family: 'ipv6' });
    expect(ipv6.get(ENTRY_CHAIN)?.slice(0, 9)).toEqual(
      entryChain('ipv6', generationMark(before + 2, DEFAULT_MARK_MASK)).rules,
    );
  });

  test.for([
    { title: 'the source tells no identity', uids: [], uid: 'u1' },
    { title: 'the runtime tells no identity', uids: ['u7'], uid: undefined },
    { title: 'one of several identities fits', uids: ['u7', 'u1'], uid: 'u1' },
  ])('the expectation fits where $title', async ({ uids, uid }) => {
    const node = await startNodeWithAgent({ expected: [{ namespace: 'shop', name: 'web', uids, judgements }] });
    const { uid: _, ...anonymous } = POD;
    expect((await node.plugin('ADD', uid === undefined ? anonymous : { ...POD, uid })).exitCode).toBe(0);
    expect(await podRules(node, 'ipv4')).toEqual(podRulesFor('ipv4', { judgements }));
  });

  test.for([
    { title: 'does not know the pod', expected: [] },
    {
      title: 'knows another pod of that name',
      expected: [{ namespace: 'shop', name: 'web', uids: ['u0'], judgements }],
    },
  ])('that $title in time leaves it quarantined', async ({ expected: others }) => {
    const node = await startNodeWithAgent({ expected: others });
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60 } })).exitCode).toBe(0);
    expect(await podRules(node, 'ipv4')).toEqual(podRulesFor('ipv4', { judgements: QUARANTINE }));
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(QUARANTINE);
  });

  test('that does not acknowledge in time leaves the pod quarantined, or open with whenAgentDown: allow', async () => {
    const node = await startNodeWithAgent({ expected, acknowledges: false });
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60 } })).exitCode).toBe(0);
    for (const family of IP_FAMILIES)
      expect(await podRules(node, family)).toEqual(podRulesFor(family, { judgements: QUARANTINE }));
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(QUARANTINE);
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60, whenAgentDown: 'allow' } })).exitCode).toBe(
      0,
    );
    expect(await podRules(node, 'ipv4')).toEqual(podRulesFor('ipv4', { judgements }));
  });

  test('that goes away while ADD waits is not waited for', async () => {
    const node = await startNodeWithAgent({ expected: [] });
    const adding = node.plugin('ADD', POD, { config: { agentTimeoutMs: 60_000 } });
    await until(() => existsSync(`${node.runtimeDir}/attachments/c1:eth0`));
    node.stopAgent();
    expect((await adding).exitCode).toBe(0);
    expect(await podRules(node, 'ipv4')).toEqual(podRulesFor('ipv4', { judgements: QUARANTINE }));
  });

  test('whose profile is gone from the kernel leaves the pod quarantined', async () => {
    const gone: PodJudgements = { ...judgements, ingress: { kind: 'profile', chain: 'NWPLCY-BBBBBBBBBBBBBBBBBBBB' } };
    const node = await startNodeWithAgent({
      expected: [{ namespace: 'shop', name: 'web', uids: [], judgements: gone }],
    });
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(await podRules(node, 'ipv4')).toEqual(podRulesFor('ipv4', { judgements: QUARANTINE }));
  });

  test('whose standing chains were taken away has them back with the next ADD', async () => {
    const node = await startNodeWithAgent({ expected: [] });
    const world = backend.slice('iptables-'.length);
    await node.shell(`for t in iptables ip6tables; do $t-${world} -F; $t-${world} -X; done`);
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60 } })).exitCode).toBe(0);
    for (const family of IP_FAMILIES) {
      const wanted = withoutGeneration(chainsFor([{ pod: POD, judgements: QUARANTINE }], { family, generation: 1 }));
      expect(withoutGeneration(await chainsOf(node, { backend, family }))).toEqual(wanted);
    }
  });

  test.for([
    { when: 'before its rules are written', expectedThen: [] },
    { when: 'after its rules are written', expectedThen: expected },
  ])('a DEL that overtakes a waiting ADD $when leaves nothing', async ({ expectedThen }) => {
    const node = await startNodeWithAgent({ expected: expectedThen, acknowledges: false });
    const before = await netfilterSnapshot(node.run);
    const adding = node.plugin('ADD', POD, { config: { agentTimeoutMs: 60_000 } });
    await until(() => existsSync(`${node.runtimeDir}/attachments/c1:eth0`));
    if (expectedThen.length > 0) await untilHooked(node);
    expect((await node.plugin('DEL', POD)).exitCode).toBe(0);
    node.stopAgent(); // so that ADD waits no longer
    expect(codeOf(await adding)).toBe(11);
    expect(podFiles(node)).toEqual([]);
    expect(withoutMarks(await netfilterSnapshot(node.run))).toEqual(withoutMarks(before));
  });

  test('an ADD that was killed while it waited is taken out by the DEL that follows', async () => {
    const node = await startNodeWithAgent({ expected, acknowledges: false });
    const before = await netfilterSnapshot(node.run);
    const adding = node.plugin('ADD', POD, {
      config: { agentTimeoutMs: 60_000 },
      wrapper: ['sh', '-c', 'echo $$ >/run/pid; exec "$@"', 'sh'],
    });
    await untilHooked(node);
    process.kill(Number(readFileSync(node.inside('/run/pid'), 'utf8')), 'SIGKILL');
    await adding;
    expect(podFiles(node)).toEqual(['attachments/c1:eth0']);
    expect((await node.plugin('DEL', POD)).exitCode).toBe(0);
    expect(podFiles(node)).toEqual([]);
    expect(withoutMarks(await netfilterSnapshot(node.run))).toEqual(withoutMarks(before));
  });
});

function withoutMarks(snapshot: Readonly<Record<string, string>>): unknown {
  return Object.values(snapshot).map((text) => withoutOldGenerations(text).replaceAll(/0x[0-9a-f]+/g, 'MARK'));
}

describe('the backend', () => {
  test('is the one that the kubelet or kube-proxy uses, and stays so', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('iptables-legacy -t mangle -N KUBE-KUBELET-CANARY');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectTable(node, 'iptables-legacy', [{ pod: POD, judgements: QUARANTINE }]);
    await node.shell('iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
    expect((await node.plugin('DEL', POD)).exitCode).toBe(0);
    await expectTable(node, 'iptables-legacy', []);
  });

  test('is nft where both were left a hint', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('for w in nft legacy; do iptables-$w -t mangle -N KUBE-IPTABLES-HINT; done');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectTable(node, 'iptables-nft', [{ pod: POD, judgements: QUARANTINE }]);
  });

  test('is the one with more rules where there is no hint', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('iptables-legacy -t nat -A POSTROUTING -j RETURN');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(readFileSync(`${node.runtimeDir}/backend`, 'utf8')).toBe('iptables-legacy');
  });

  test('is nft on a fresh node, and no legacy table comes into use by looking', async () => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(readFileSync(`${node.runtimeDir}/backend`, 'utf8')).toBe('iptables-nft');
    expect(await node.shell('cat /proc/net/ip_tables_names')).toBe('');
  });

  test("is the live agent's; a configuration that names another is refused", async () => {
    const node = await startNode();
    await node.link(POD);
    node.startAgent('iptables-legacy');
    const config = { agentTimeoutMs: 0 };
    expect((await node.plugin('ADD', POD, { config })).exitCode).toBe(0);
    await expectTable(node, 'iptables-legacy', [{ pod: POD, judgements: QUARANTINE }]);
    const { printed } = await node.plugin('ADD', POD, { config: { ...config, backend: 'iptables-nft' } });
    expect(printed).toMatchObject({ code: 7, msg: expect.stringMatching(/^Cannot use "backend": /) as unknown });
  });
});

describe('GC', () => {
  test('takes out what the runtime does not list, of its own network only', async () => {
    const node = await startNode();
    const pods = [1, 2, 3].map((n) => ({
      ...POD,
      containerId: `c${n}`,
      link: `veth${n}`,
      addresses: [`10.5.0.${n}`, `fd05::${n}`],
    }));
    for (const pod of pods) await node.link(pod);
    const backend = 'iptables-nft';
    for (const pod of pods)
      await node.plugin('ADD', pod, { config: { backend, name: pod.containerId === 'c3' ? 'others' : 'pods' } });
    const gc = { backend, cniVersion: '1.1.0', prevResult: undefined };
    const valid = [
      { containerID: 'c2', ifname: 'eth0' },
      { containerID: 'c1', ifname: 'eth1' },
    ];
    expect(await node.plugin('GC', POD, { config: { ...gc, 'cni.dev/valid-attachments': valid } })).toEqual({
      exitCode: 0,
      printed: undefined,
    });
    expect(readdirSync(`${node.runtimeDir}/attachments`)).toEqual(['c2:eth0', 'c3:eth0']);
    await expectTable(
      node,
      backend,
      pods.filter(({ containerId }) => containerId !== 'c1').map((pod) => ({ pod, judgements: QUARANTINE })),
    );
    expect((await node.plugin('GC', POD, { config: { ...gc, 'cni.dev/valid-attachments': null } })).exitCode).toBe(0);
    expect(readdirSync(`${node.runtimeDir}/attachments`)).toEqual(['c3:eth0']);
  });

  test('goes on past failures and tells them together', async () => {
    const node = await startNode();
    const pods = [1, 2].map((n) => ({ ...POD, containerId: `c${n}`, link: `veth${n}` }));
    for (const pod of pods) await node.link(pod);
    for (const pod of pods) await node.plugin('ADD', pod, { config: { backend: 'iptables-nft' } });
    const config = { backend: 'iptables-nft', cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
    const { printed } = await node.plugin('GC', POD, { config, env: { PATH: '/nowhere' } });
    expect(printed).toMatchObject({
      code: 101,
      msg: expect.stringMatching(/^Cannot take out 2 of 2 stale attachments: /) as unknown,
    });
    expect(
      String(printed?.['details'])
        .split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual(['c1 eth0', 'c2 eth0']);
  });
});

describe('STATUS', () => {
  const config = { cniVersion: '1.1.0', prevResult: undefined };
  // containerd asks every few seconds, with all of these empty.
  const env = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '', CNI_ARGS: '' };

  async function status(node: PluginNode, more: { config?: object; env?: object } = {}): Promise<unknown> {
    const { exitCode, printed } = await node.plugin('STATUS', POD, {
      config: { ...config, ...more.config },
      env: { ...env, ...more.env },
    });
    return exitCode === 0 ? 'ready' : [printed?.['code'], printed?.['msg']];
  }

  test('tells why ADD would fail or quarantine', async () => {
    const node = await startNode();
    await node.link(POD);
    expect(await status(node)).toEqual([51, 'Cannot connect new pods: no agent has been in sync on this node yet']);
    expect(await status(node, { config: { whenAgentDown: 'allow' } })).toBe('ready');
    node.startAgent('iptables-nft');
    expect(await status(node)).toBe('ready');
    // One that is merely away, as during an upgrade, must not cost the node its endpoints.
    node.stopAgent();
    expect(await status(node)).toBe('ready');
    node.startAgent('iptables-nft');
    expect(await status(node, { config: { backend: 'iptables-legacy' } })).toEqual([
      7,
      'Cannot use "backend": it is "iptables-legacy", but this node\'s agent writes into "iptables-nft"',
    ]);
    await node.shell('echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables');
    expect(await status(node)).toEqual([50, 'Cannot protect pods: set net.bridge.bridge-nf-call-iptables=1']);
    expect(await status(node, { env: { PATH: '/nowhere' } })).toEqual([
      50,
      'Cannot protect pods: iptables-nft-restore is not installed',
    ]);
  });
});

describe('a node that is not as it should be', () => {
  test('bridge netfilter off: ADD on a bridge says what to set, and touches nothing', async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables');
    const before = await netfilterSnapshot(node.run);
    const { printed } = await node.plugin('ADD', POD);
    expect(printed).toMatchObject({
      code: 100,
      msg: 'Cannot protect a pod on a bridge: set net.bridge.bridge-nf-call-ip6tables=1',
    });
    expect(await netfilterSnapshot(node.run)).toEqual(before);
    expect((await node.plugin('ADD', PLAIN_POD)).exitCode).toBe(0);
  });

  test('bridge netfilter off concerns no routed pod', async () => {
    const node = await startNode();
    await node.link({ ...POD, bridged: false });
    await node.shell('echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables');
    expect((await node.plugin('ADD', { ...POD, bridged: false })).exitCode).toBe(0);
  });

  test('iptables not installed: ADD says which program is missing, and where it looked', async () => {
    const node = await startNode();
    await node.link(POD);
    for (const backend of ['auto', ...BACKENDS]) {
      const { printed } = await node.plugin('ADD', POD, { config: { backend }, env: { PATH: '/nowhere' } });
      expect(printed).toMatchObject({ code: 101, details: expect.stringContaining('"/nowhere"') as unknown });
    }
    expect(podFiles(node)).toEqual([]);
  });

  test.for([
    { title: 'read-only', options: 'ro' },
    { title: 'full', options: 'size=4k,nr_inodes=7' },
  ])(
    'a runtimeDir that is $title: ADD names it and leaves nothing, DEL of a pod that never was succeeds',
    async ({ options }) => {
      const node = await startNode();
      await node.link(POD);
      await node.shell(`mkdir /run/kube-nwplcy; mount -t tmpfs -o ${options} tmpfs /run/kube-nwplcy`);
      const { printed } = await node.plugin('ADD', POD, { config: { backend: 'iptables-nft' } });
      expect(printed).toMatchObject({ code: 5, msg: expect.stringContaining('/run/kube-nwplcy/') as unknown });
      expect(podFiles(node)).toEqual([]);
      expect(await node.shell('nft list ruleset')).not.toContain('NWPLCY-P');
      expect((await node.plugin('DEL', POD, { config: { backend: 'iptables-nft' } })).exitCode).toBe(0);
    },
  );

  test("a /sys of another namespace: the pod's interface is told by the result, and DEL still takes it down", async () => {
    const node = await startNode();
    await node.link(POD);
    await node.shell('umount -l /sys');
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    expect(readAttachment(node.runtimeDir, hooksOf(POD))).toMatchObject({ hostInterface: 'veth1', bridged: true });
    expect((await node.plugin('DEL', POD)).exitCode).toBe(0);
    expect(await node.shell('ip -o link show dev veth1')).toContain('state DOWN');
  });

  test('a lock that somebody holds is waited for', async () => {
    const node = await startNode();
    await node.link(POD);
    const held = node.shell('exec flock /run/xtables.lock sleep 1');
    await until(() => existsSync(node.inside('/run/xtables.lock')));
    expect((await node.plugin('ADD', POD, { config: { backend: 'iptables-legacy' } })).exitCode).toBe(0);
    await held;
  });
});

test('a flow that an earlier holder of the address began is forgotten, and no other', async () => {
  const node = await startNode();
  await node.link(POD);
  const flow = (source: string) => `conntrack -I -p udp -s ${source} -d 10.9.0.1 --sport 1000 --dport 53 -t 600`;
  await node.shell([POD.addresses[0] ?? '', '10.5.0.3'].map(flow).join(';'));
  expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
  expect((await node.shell('conntrack -L -p udp')).match(/src=10\.5\.0\.\d/g)).toEqual(['src=10.5.0.3']);
});

test("a late DEL does not take down an interface that the pod's next sandbox uses", async () => {
  const node = await startNode();
  const pod = { ...POD, bridged: false };
  await node.link(pod);
  await node.plugin('ADD', pod);
  await node.plugin('ADD', { ...pod, containerId: 'c2' });
  expect((await node.plugin('DEL', pod)).exitCode).toBe(0);
  expect(await node.shell('cat /sys/class/net/veth1/flags')).toMatch(/[13579bdf]\n$/);
});
