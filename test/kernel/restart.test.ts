import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs, type OpenStream } from '../lab/probe.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';
import { backendUnderTest, isNftables } from './backend.ts';
import { disturb, takeAllAway } from './breaking.ts';
import { podManifest, policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';
import { settledSnapshot, withoutGeneration } from './settled.ts';
import { writeTools } from './tools.ts';
import { ALLOWED_PORT, FORBIDDEN_PORT, openStreams, Traffic } from './traffic.ts';

const PORTS = [ALLOWED_PORT, FORBIDDEN_PORT];

/** The server takes these roles at one port, and may begin nothing itself. */
const byRole = (...roles: readonly string[]) =>
  policy('shop/server', {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [
          {
            namespaceSelector: {},
            podSelector: { matchExpressions: [{ key: 'role', operator: 'In', values: roles }] },
          },
        ],
        ports: [
          { protocol: 'TCP', port: ALLOWED_PORT },
          { protocol: 'UDP', port: ALLOWED_PORT },
        ],
      },
    ],
  });

describe.for(PLACES)('a restart of the agent, $mode, $backend', ({ mode, backend }) => {
  test('changes nothing in the kernel but the generation, and no verdict while it lasts', async () => {
    using cluster = await ProductCluster.start({ mode, backend, listen: PORTS });
    const node = cluster.lab.node(1);
    const [client, server] = await addPods(node);
    cluster.lab.manifests.apply(byRole('client'));
    await cluster.lab.sync();
    const traffic = await Traffic.start(client, server);
    const before = await netfilter(node);
    const unsorted = await settledSnapshot(node);

    expect(await cluster.agent(1).stop()).toBe(0);
    expect(await netfilter(node)).toEqual(before);
    await cluster.startAgent(1);
    expect(await netfilter(node)).toEqual(before);
    await cluster.agent(1).kill();
    expect(await netfilter(node)).toEqual(before);
    await cluster.startAgent(1);
    await cluster.lab.sync();
    expect(await netfilter(node)).toEqual(before);

    expect(await settledSnapshot(node)).toEqual(unsorted);
    expect(await traffic.wrongs()).toEqual([]);
  });
});

describe('an agent that is killed before or after any of its writes', () => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let friend: LabPod;
  let crashes: Crashes;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ listen: PORTS });
    node = cluster.lab.node(1);
    [client, server] = await addPods(node);
    friend = await node.addPod({ namespace: 'clients', name: 'friend', labels: { role: 'friend' } });
    crashes = new Crashes(cluster);
  });
  afterAll(() => cluster[Symbol.dispose]());

  const friendWith = (role: string) => podManifest(friend, { nodeName: node.name, labels: { role } });

  test.for<{
    name: string;
    loose: () => Manifest;
    tight: () => Manifest;
    moments: readonly [tightened: Moment, loosened: Moment];
    writes: readonly number[];
  }>([
    {
      name: 'a policy changes',
      loose: () => byRole('client', 'friend'),
      tight: () => byRole('client'),
      moments: ['before', 'after'],
      // The new set, the rules of both families, the old set, and the UDP flow that rules do not reach; the same without that flow. What of it is
      // netfilter's, nft writes at once, but for what is stale.
      writes: isNftables ? [3, 2] : [5, 4],
    },
    {
      name: 'a label changes',
      loose: () => friendWith('friend'),
      tight: () => friendWith('stranger'),
      moments: ['after', 'before'],
      // The set's member, the generation of both families, that UDP flow; the set's member.
      writes: isNftables ? [2, 1] : [4, 1],
    },
  ])('lets nothing pass that is forbidden before and after: $name', async ({ loose, tight, moments, writes }) => {
    const { manifests } = cluster.lab;
    manifests.apply(byRole('client', 'friend'));
    manifests.apply(friendWith('friend'));
    const states = [
      { change: () => manifests.apply(tight()), moment: moments[0], ends: ['reset', 'stalled'], name: 'tightened' },
      { change: () => manifests.apply(loose()), moment: moments[1], ends: undefined, name: 'loosened' },
    ];
    const kernels = [];
    for (const { change } of states) {
      change();
      kernels.push(await crashes.freshKernel());
    }
    const traffic = await Traffic.start(client, server);

    const crashed = [0, 0];
    for (let number = 1; number <= Math.max(...crashed) + 1; number += 1) {
      const streams = await openStreams(friend, server);
      for (const [index, { change, moment, ends, name }] of states.entries()) {
        const point = `${moment} ${number}`;
        if (await crashes.at(point, change)) crashed[index] = number;
        expect(await settledSnapshot(node), `${name}, killed ${point}`).toEqual(kernels[index]);
        const ended = ends === undefined ? undefined : await endsOf(streams);
        expect(ended, `${name}, killed ${point}`).toEqual(ends);
      }
    }
    // Every write was met, and no more were to be met.
    expect(crashed).toEqual(writes);
    expect(await traffic.wrongs()).toEqual([]);
  });
});

describe('a look at the kernel that takes its time', () => {
  test('takes nothing from a pod that is added meanwhile', async () => {
    using cluster = await ProductCluster.start();
    const { lab } = cluster;
    const node = lab.node(1);
    lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
    const client = await node.addPod({ namespace: 'clients', name: 'client' });
    await cluster.agent(1).stop();
    const looks = join(lab.directory, 'looks');
    await cluster.startAgent(1, { tools: writeTools(lab.directory, slowLooks(looks)) });
    using stack = new DisposableStack();
    stack.defer(disturb(node, backendUnderTest));
    for (let round = 0; round < 4; round += 1) {
      const pod = await node.createPod({ namespace: 'closed', name: `server-${round}` });
      // Expected long before, so that ADD need not wait for the agent's next pass.
      lab.manifests.apply(podManifest(pod, { nodeName: node.name }));
      await lab.sync();
      await sleep(round * 150);
      await pod.attach();
      const target = { address: pod.addresses[0] ?? '', port: 80, protocol: 'TCP' } as const;
      const hammer = await client.probe.hammer(target, { intervalMs: 20 });
      await sleep(1500);
      const outcomes = new Set((await hammer.stop()).map(({ outcome }) => outcome));
      expect([...outcomes].filter((outcome) => outcome !== 'refused' && outcome !== 'timeout')).toEqual([]);
    }
    // One in each round at least.
    expect(readFileSync(looks, 'utf8').length).toBeGreaterThan(4);
  });

  /** Returns tools with which only what asks the kernel is slow, not what writes. Each look adds a character to a file. */
  function slowLooks(file: string): Readonly<Record<string, string>> {
    const slowly = `printf . >>${file}; sleep 0.35; "$real" "$@"; status=$?; sleep 0.35; exit $status`;
    if (isNftables) return { nft: `case "$*" in *list*) ${slowly};; esac; exec "$real" "$@"` };
    const restore = `input=$(cat); run() { printf '%s\\n' "$input" | "$real" "$@"; }
case $input in *-S*) ${slowly.replace('"$real"', 'run')};; esac; run "$@"`;
    return { 'iptables-nft-restore': restore, 'ip6tables-nft-restore': restore };
  }
});

describe('one agent after the other', () => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ listen: PORTS });
    node = cluster.lab.node(1);
    [client, server] = await addPods(node);
    cluster.lab.manifests.apply(byRole('client'));
    await cluster.lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test('a bad manifest leaves its last good state in force, also over a restart, and is told by file, line and field', async () => {
    const { manifests, directory } = cluster.lab;
    const good = yaml({ port: '81' });
    manifests.write('more.yaml', good);
    await cluster.lab.sync();
    expect(await dialled(client, server)).toEqual(['open', 'open', 'open', 'open']);
    manifests.write('more.yaml', yaml({ port: '0' }));
    const told =
      `${join(directory, 'manifests/more.yaml')}:12: spec.ingress[0].ports[0].port: ` +
      'Cannot use 0: a port is a number from 1 to 65535\n';
    const check = async () => {
      expect(await node.product(['sync'])).toEqual({ exitCode: 1, stdout: '', stderr: told });
      const status = await node.product(['status']);
      expect([status.exitCode, status.stdout.split('\n').filter((line) => line.startsWith('problem'))]).toEqual([
        1,
        [`problem    ${told.trimEnd()}`],
      ]);
      expect(await dialled(client, server)).toEqual(['open', 'open', 'open', 'open']);
    };
    await check();
    await cluster.agent(1).stop();
    const next = node.launchAgent(['--backend', backendUnderTest]);
    await until(async () => (await node.product(['sync'])).stderr === told);
    await check();
    await next.stop();
    manifests.remove('more.yaml');
    await cluster.startAgent(1);
    expect(await dialled(client, server)).toEqual(['open', 'refused', 'open', 'refused']);
  });

  test('a second agent on the same runtime directory says so and exits 1, and the first goes on', async () => {
    const second = node.launchAgent(['--backend', backendUnderTest]);
    await until(() => Promise.resolve(!second.isRunning));
    expect(await second.stop()).toBe(1);
    expect(second.log().trimEnd().split('\n').at(-1)).toBe(
      'Cannot start: another agent already serves "/run/kube-nwplcy/agent.sock"; stop it first or use another --runtime-dir',
    );
    expect(cluster.agent(1).isRunning).toBe(true);
    expect(existsSync(node.inside('/run/kube-nwplcy/agent'))).toBe(true);
    await cluster.lab.sync();
  });

  test('SIGTERM ends the heartbeat and leaves the rules', async () => {
    const before = await netfilter(node);
    expect(existsSync(node.inside('/run/kube-nwplcy/agent'))).toBe(true);
    expect(await cluster.agent(1).stop()).toBe(0);
    expect(existsSync(node.inside('/run/kube-nwplcy/agent'))).toBe(false);
    expect(await netfilter(node)).toEqual(before);
    expect(await dialled(client, server)).toEqual(['open', 'refused', 'open', 'refused']);
  });

  test('without an agent, sync and status exit 1 and say what to do', async () => {
    await cluster.agent(1).stop();
    for (const [command, more] of [
      ['sync', ''],
      ['status', 'What that means: the rules that are in the kernel stay in force[^]*What to do: [^\\n]*\\n'],
    ] as const)
      expect(await node.product([command])).toEqual({
        exitCode: 1,
        stdout: '',
        stderr: expect.stringMatching(
          new RegExp(
            `^Cannot reach the agent at "/run/kube-nwplcy/agent\\.sock": (ENOENT|ECONNREFUSED); start "kube-nwplcy agent", or give the --runtime-dir that it was given\\n${more}$`,
          ),
        ),
      });
  });

  test.for([
    ['sync', '--timeout', '5'],
    ['sync', '--output', 'yaml'],
    ['status', '--verbose'],
    ['status', 'more'],
    ['agent', '--source', 'dir:/tmp'],
    ['agent', '--node-name', 'n', '--source', '/tmp'],
    ['sink'],
  ])('bad usage exits 2: %s', async (args) => {
    const { exitCode, stdout, stderr } = await node.product(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });
});

async function addPods(node: LabNode): Promise<[client: LabPod, server: LabPod]> {
  return [
    await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } }),
    await node.addPod({ namespace: 'shop', name: 'server' }),
  ];
}

type Moment = 'before' | 'after';

/** Kills the agent at its writes. */
class Crashes {
  readonly #cluster: ProductCluster;
  readonly #directory: string;
  readonly #tools: string;

  constructor(cluster: ProductCluster) {
    this.#cluster = cluster;
    this.#directory = join(cluster.lab.directory, 'crashes');
    mkdirSync(this.#directory);
    this.#tools = writeTools(cluster.lab.directory, deadlyTools(this.#directory));
  }

  /** Returns what an agent makes of the manifests in a kernel that holds nothing of ours. */
  async freshKernel() {
    const node = this.#cluster.lab.node(1);
    await this.#cluster.agent(1).stop();
    await takeAllAway(node, backendUnderTest);
    await this.#cluster.startAgent(1, { tools: this.#tools });
    return settledSnapshot(node);
  }

  /** Makes a change whose write at this point kills the agent, and starts the next agent. Returns `false` if there was no such write. */
  async at(point: string, change: () => void): Promise<boolean> {
    const armed = join(this.#directory, 'armed');
    writeFileSync(armed, point);
    change();
    const { exitCode } = await this.#cluster.lab.node(1).product(['sync', '--timeout', '10s']);
    rmSync(armed);
    for (let number = 1; number < 20; number += 1)
      rmSync(join(this.#directory, `${number}`), { recursive: true, force: true });
    if (exitCode === 0) return false;
    const agent = this.#cluster.agent(1);
    await until(() => Promise.resolve(!agent.isRunning));
    await this.#cluster.startAgent(1, { tools: this.#tools });
    return true;
  }
}

/** Returns tools whose writes are numbered, and that kill the agent at one of them. What only asks is no write. */
function deadlyTools(directory: string): Readonly<Record<string, string>> {
  const writes = numberedWrites(directory);
  const conntrack = `[ "$1" = -D ] || exec "$real" "$@"; ${RUN}; input=; ${writes}`;
  if (isNftables) return { nft: `[ "$1" = --file ] || exec "$real" "$@"; ${RUN}; input=$(cat); ${writes}`, conntrack };
  const rules = `input=$(cat); if ! printf '%s\\n' "$input" | grep -qvE '^(-[SC] .*|[*]filter|COMMIT|)$'; then run "$@"; exit; fi; ${writes}`;
  return {
    'iptables-nft-restore': `${RUN}; ${rules}`,
    'ip6tables-nft-restore': `${RUN}; ${rules}`,
    ipset: `[ "$1" = restore ] || exec "$real" "$@"; ${RUN}; input=$(cat); ${writes}`,
    conntrack,
  };
}

const RUN = `run() { printf '%s\\n' "$input" | "$real" "$@"; }`;

/** Counts the writes of an armed agent, also those that run side by side, and kills it at the one that is named. */
function numberedWrites(directory: string): string {
  return `
point=$(cat ${directory}/armed 2>/dev/null) || { run "$@"; exit; }
number=1
while [ -d ${directory} ] && ! mkdir ${directory}/$number 2>/dev/null; do number=$((number + 1)); done
[ "$point" = "before $number" ] && { kill -9 $PPID; exit 1; }
run "$@"
status=$?
[ "$point" = "after $number" ] && kill -9 $PPID
exit $status`;
}

async function endsOf(streams: readonly OpenStream[]): Promise<readonly (string | undefined)[]> {
  return Promise.all(streams.map(async (stream) => (await stream.waitForEnd({ stallMs: 400, timeoutMs: 3000 }))?.how));
}

/** Tries both ports in each family: allowed, forbidden, allowed, forbidden. */
async function dialled(from: LabPod, to: LabPod): Promise<readonly string[]> {
  const targets = to.addresses.flatMap((address) => PORTS.map((port) => ({ address, port, protocol: 'TCP' }) as const));
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}

async function netfilter(node: LabNode): Promise<Readonly<Record<string, string>>> {
  const snapshot = await netfilterSnapshot(node.run);
  return Object.fromEntries(Object.entries(snapshot).map(([command, text]) => [command, withoutGeneration(text)]));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = monotonicMs() + 15_000; !(await condition()); await sleep(50))
    if (monotonicMs() > deadline) throw new Error('Cannot go on: what was waited for did not come');
}

function yaml({ port }: { readonly port: string }): string {
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: more
  namespace: shop
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - protocol: TCP
          port: ${port}
`;
}
