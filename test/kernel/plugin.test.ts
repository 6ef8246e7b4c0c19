import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { programOf } from '../../src/dataplane/backend.ts';
import { isAcknowledged, readAttachment } from '../../src/rendezvous/attachment.ts';
import { currentGeneration } from '../../src/rendezvous/generation.ts';
import { DEFAULT_MARK_MASK } from '../../src/rules/mark.ts';
import { QUARANTINE, type PodJudgements } from '../../src/rules/pod.ts';
import { resultFor, type PluginNode } from '../helpers/pluginNode.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';
import { backendUnderTest, isNftables } from './backend.ts';
import { codeOf, expectPods, foreign, OPEN, PLAIN_POD, POD, podFiles, startNode, until } from './pluginPods.ts';
import { hooksOf } from './pluginWorld.ts';
import { WORLDS } from './pluginWorlds.ts';
import { withoutOldGenerations } from './settled.ts';

// The plugin against the real kernel, in every world that it may find. Whether packets then pass is for the tests with an agent.

const [WORLD] = WORLDS;
/** One that the node could have as well. */
const ANOTHER = isNftables ? 'iptables-nft' : 'iptables-legacy';

describe.for(WORLDS)('$backend, no agent', (world) => {
  const { backend } = world;

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
        await expectPods(world, node, [{ pod, judgements: QUARANTINE }]);
      }
      expect(readAttachment(node.runtimeDir, hooksOf(pod))).toEqual({
        ...hooksOf(pod),
        uid: 'u1',
        network: 'pods',
        netns: '/run/netns/pod',
        markMask: DEFAULT_MARK_MASK,
        backend,
        judgements: QUARANTINE,
      });
      expect(await node.plugin('CHECK', pod, { config })).toEqual({ exitCode: 0, printed: undefined });
      for (const _ of [1, 2]) {
        const del = { config: { backend, prevResult: undefined }, env: { CNI_NETNS: '', CNI_ARGS: '' } };
        expect(await node.plugin('DEL', pod, del)).toEqual({ exitCode: 0, printed: undefined });
        await expectPods(world, node, []);
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
    // The order of their hooks is the order in which they came.
    const held = pods.map((pod) => ({ pod, judgements: QUARANTINE }));
    expect(world.unordered(await world.read(node))).toEqual(world.unordered(world.holding(held)));
    const deleted = await Promise.all(pods.map((pod) => node.plugin('DEL', pod, { config })));
    expect(deleted).toEqual(pods.map(() => ({ exitCode: 0, printed: undefined })));
    await expectPods(world, node, []);
    expect(podFiles(node)).toEqual([]);
  });

  test('the rules of others stay as they are, whatever they are', async () => {
    const node = await startNode();
    const other = { ...POD, containerId: 'c2', addresses: ['10.5.0.3', 'fd05::3'], link: 'veth2' };
    for (const pod of [POD, other]) await node.link(pod);
    await node.shell(world.othersRules);
    await node.shell(`nft add table inet other; nft add chain inet other forward '{ type filter hook forward priority 5; }'
    nft add rule inet other forward meta mark set numgen inc mod 4`);
    const before = await foreign(node);
    const config = { backend };
    expect((await node.plugin('ADD', POD, { config })).exitCode).toBe(0);
    expect(await foreign(node)).toEqual(before);
    expect((await node.plugin('ADD', other, { config })).exitCode).toBe(0);
    expect((await node.plugin('CHECK', POD, { config })).exitCode).toBe(0);
    for (const pod of [POD, other]) expect((await node.plugin('DEL', pod, { config })).exitCode).toBe(0);
    expect(await foreign(node)).toEqual(before);
  });

  test('a pod whose rules are half gone, or were hooked in twice, is taken out whole', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    await world.damage(node, POD);
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectPods(world, node, []);
  });

  test('without its record a pod is taken out by its name alone', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    await node.shell('rm -r /run/kube-nwplcy');
    expect((await node.plugin('DEL', POD, { config })).exitCode).toBe(0);
    await expectPods(world, node, []);
  });

  test('ADD that comes again with other addresses replaces what was there', async () => {
    const node = await startNode();
    await node.link(POD);
    const config = { backend };
    await node.plugin('ADD', POD, { config });
    const moved = { ...POD, addresses: ['10.5.0.9'] };
    expect((await node.plugin('ADD', moved, { config })).exitCode).toBe(0);
    await expectPods(world, node, [{ pod: moved, judgements: QUARANTINE }]);
  });

  test('whenAgentDown: allow leaves the pod open, its sources locked', async () => {
    const node = await startNode();
    await node.link(POD);
    expect((await node.plugin('ADD', POD, { config: { backend, whenAgentDown: 'allow' } })).exitCode).toBe(0);
    await expectPods(world, node, [{ pod: POD, judgements: OPEN }]);
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
    await expectPods(world, node, []);
    expect((await node.plugin('DEL', POD, without)).exitCode).toBe(0);
  });
});

describe.for(WORLDS)('$backend, an agent', (world) => {
  const { backend } = world;
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
    await world.makeProfile(node, PROFILE);
    node.startAgent(backend, options);
    return node;
  }

  async function untilHooked(node: PluginNode): Promise<void> {
    while (!(await world.isHooked(node, POD))) await sleep(10);
  }

  /** Compares all that is ours where the pod has come. */
  async function expectPod(node: PluginNode, judged: PodJudgements): Promise<void> {
    await expectPods(world, node, [{ pod: POD, judgements: judged }], [PROFILE]);
  }

  test('ADD judges the pod as the agent expects, in a new generation', async () => {
    const node = await startNodeWithAgent({ expected });
    const before = currentGeneration(node.runtimeDir) ?? 0;
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPod(node, judgements);
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(judgements);
    expect(isAcknowledged(node.runtimeDir, hooksOf(POD))).toBe(true);
    expect(currentGeneration(node.runtimeDir)).toBe(before + world.generationsAnAdd);
    expect(await world.presentMarks(node)).toEqual(world.marksAfter(before));
  });

  test.for([
    { title: 'the source tells no identity', uids: [], uid: 'u1' },
    { title: 'the runtime tells no identity', uids: ['u7'], uid: undefined },
    { title: 'one of several identities fits', uids: ['u7', 'u1'], uid: 'u1' },
  ])('the expectation fits where $title', async ({ uids, uid }) => {
    const node = await startNodeWithAgent({ expected: [{ namespace: 'shop', name: 'web', uids, judgements }] });
    const { uid: _, ...anonymous } = POD;
    expect((await node.plugin('ADD', uid === undefined ? anonymous : { ...POD, uid })).exitCode).toBe(0);
    await expectPod(node, judgements);
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
    await expectPod(node, QUARANTINE);
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(QUARANTINE);
  });

  test('that does not acknowledge in time leaves the pod quarantined, or open with whenAgentDown: allow', async () => {
    const node = await startNodeWithAgent({ expected, acknowledges: false });
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60 } })).exitCode).toBe(0);
    await expectPod(node, QUARANTINE);
    expect(readAttachment(node.runtimeDir, hooksOf(POD))?.judgements).toEqual(QUARANTINE);
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60, whenAgentDown: 'allow' } })).exitCode).toBe(
      0,
    );
    await expectPod(node, judgements);
  });

  test('that goes away while ADD waits is not waited for', async () => {
    const node = await startNodeWithAgent({ expected: [] });
    const adding = node.plugin('ADD', POD, { config: { agentTimeoutMs: 60_000 } });
    await until(() => existsSync(`${node.runtimeDir}/attachments/c1:eth0`));
    node.stopAgent();
    expect((await adding).exitCode).toBe(0);
    await expectPod(node, QUARANTINE);
  });

  test('whose profile is gone from the kernel leaves the pod quarantined', async () => {
    const gone: PodJudgements = { ...judgements, ingress: { kind: 'profile', chain: 'NWPLCY-BBBBBBBBBBBBBBBBBBBB' } };
    const node = await startNodeWithAgent({
      expected: [{ namespace: 'shop', name: 'web', uids: [], judgements: gone }],
    });
    expect((await node.plugin('ADD', POD)).exitCode).toBe(0);
    await expectPod(node, QUARANTINE);
  });

  test('whose standing chains were taken away has them back with the next ADD', async () => {
    const node = await startNodeWithAgent({ expected: [] });
    await world.takeAway(node);
    expect((await node.plugin('ADD', POD, { config: { agentTimeoutMs: 60 } })).exitCode).toBe(0);
    await expectPods(world, node, [{ pod: POD, judgements: QUARANTINE }]);
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
    const { backend } = WORLD;
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
    await expectPods(
      WORLD,
      node,
      pods.filter(({ containerId }) => containerId !== 'c1').map((pod) => ({ pod, judgements: QUARANTINE })),
    );
    expect((await node.plugin('GC', POD, { config: { ...gc, 'cni.dev/valid-attachments': null } })).exitCode).toBe(0);
    expect(readdirSync(`${node.runtimeDir}/attachments`)).toEqual(['c3:eth0']);
  });

  test('goes on past failures and tells them together', async () => {
    const node = await startNode();
    const pods = [1, 2].map((n) => ({ ...POD, containerId: `c${n}`, link: `veth${n}` }));
    for (const pod of pods) await node.link(pod);
    for (const pod of pods) await node.plugin('ADD', pod, { config: { backend: backendUnderTest } });
    const config = { backend: backendUnderTest, cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
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
    node.startAgent(backendUnderTest);
    expect(await status(node)).toBe('ready');
    // One that is merely away, as during an upgrade, must not cost the node its endpoints.
    node.stopAgent();
    expect(await status(node)).toBe('ready');
    node.startAgent(backendUnderTest);
    expect(await status(node, { config: { backend: ANOTHER } })).toEqual([
      7,
      `Cannot use "backend": it is "${ANOTHER}", but this node's agent writes into "${backendUnderTest}"`,
    ]);
    await node.shell('echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables');
    expect(await status(node)).toEqual([50, 'Cannot protect pods: set net.bridge.bridge-nf-call-iptables=1']);
    expect(await status(node, { env: { PATH: '/nowhere' } })).toEqual([
      50,
      `Cannot protect pods: ${programOf(backendUnderTest)} is not installed`,
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

  test('nothing installed to write rules by: ADD says which program is missing, and where it looked', async () => {
    const node = await startNode();
    await node.link(POD);
    for (const backend of ['auto', ...WORLDS.map((world) => world.backend)]) {
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
      const { printed } = await node.plugin('ADD', POD, { config: { backend: backendUnderTest } });
      expect(printed).toMatchObject({ code: 5, msg: expect.stringContaining('/run/kube-nwplcy/') as unknown });
      expect(podFiles(node)).toEqual([]);
      expect(await WORLD.isHooked(node, POD)).toBe(false);
      expect((await node.plugin('DEL', POD, { config: { backend: backendUnderTest } })).exitCode).toBe(0);
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
