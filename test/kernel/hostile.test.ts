import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CniFailure } from '../lab/cniRuntime.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { backendUnderTest, isNftables, productOf } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { writeTools } from './tools.ts';

// A machine that lets the product down, and people who write what they should not. What was in force stays in force, and somebody is told.

const BACKEND = ['--backend', backendUnderTest];
/** What rules are written by, and the package that it comes from. */
const WRITERS = isNftables
  ? {
      programs: ['nft'],
      from: 'nftables',
      absent: 'nft is not installed; install "nftables"',
      list: 'nft --stateless list ruleset',
    }
  : {
      programs: ['iptables-nft-restore', 'ip6tables-nft-restore'],
      from: 'iptables',
      absent: 'Cannot run "iptables-nft-restore',
      list: 'iptables-nft -S; ip6tables-nft -S',
    };
const DENY = { podSelector: {}, policyTypes: ['Ingress'] };

describe.for([
  {
    title: 'full',
    spoil:
      'dd if=/dev/zero of=/run/kube-nwplcy/ballast bs=4k 2>/dev/null; touch /run/kube-nwplcy/{1..2000} 2>/dev/null; true',
    mend: 'rm -f /run/kube-nwplcy/ballast /run/kube-nwplcy/[0-9]*',
    said: /ENOSPC/,
  },
  {
    title: 'read-only',
    spoil: 'mount -o remount,ro /run/kube-nwplcy',
    mend: 'mount -o remount,rw /run/kube-nwplcy',
    said: /EROFS/,
  },
])('a runtimeDir that becomes $title', ({ title, spoil, mend, said }) => {
  test('fails ADD with code 5, harms no agent and nothing that was in force, and is got over', async () => {
    using lab = await labWithSmallRuntimeDir();
    const node = lab.node(1);
    const agent = await node.startAgent(BACKEND);
    lab.manifests.apply(policy('closed/deny', DENY));
    const [client, closed, open] = await threePods(node);
    await bash(node, spoil);
    await expectPlainFailure(node, { namespace: 'clients', name: 'late' });
    lab.manifests.apply(policy('open/deny', DENY));
    await sleep(1500);
    expect(agent.isRunning).toBe(true);
    const status = await node.product(['status']);
    expect([status.exitCode, said.test(status.stdout), status.stdout.includes('/run/kube-nwplcy/')]).toEqual([
      1,
      true,
      true,
    ]);
    // Said once, not at every attempt.
    const failures = agent
      .log()
      .split('\n')
      .filter((line) => line.includes('trying again'));
    expect([failures.length <= 10, said.test(failures[0] ?? '')], failures.join('\n')).toEqual([true, true]);
    expect(await dial(client, closed)).toEqual(['refused', 'refused']);
    if (title === 'full') await closed.delete();
    await bash(node, mend);
    await node.sync();
    expect(await dial(client, open)).toEqual(['refused', 'refused']);
    expect((await node.product(['status'])).exitCode).toBe(0);
    const late = await node.addPod({ namespace: 'clients', name: 'late' });
    expect(await dial(client, late)).toEqual(['open', 'open']);
    expect(await agent.stop(), agent.log().slice(-3000)).toBe(0);
  });

  test('lets no agent start, which says why', async () => {
    using lab = await labWithSmallRuntimeDir();
    const node = lab.node(1);
    await bash(node, spoil);
    const { exitCode, stderr } = await node.product([
      'agent',
      '--node-name',
      node.name,
      '--source',
      `dir:${lab.manifests.directory}`,
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(said);
    expect(stderr).toContain('/run/kube-nwplcy');
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

async function labWithSmallRuntimeDir(): Promise<Lab> {
  const lab = await startLab({ product: productOf() });
  await bash(
    lab.node(1),
    'mkdir -m 700 /run/kube-nwplcy && mount -t tmpfs -o size=512k,nr_inodes=400 tmpfs /run/kube-nwplcy',
  );
  return lab;
}

/** Waits for an ADD that fails with code 5 and names a path of runtimeDir, and finds nothing of the pod afterwards. */
async function expectPlainFailure(node: LabNode, spec: { readonly namespace: string; readonly name: string }) {
  const before = await podTraces(node);
  const failure = await node.addPod(spec).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(CniFailure);
  const { code, command, message } = failure as CniFailure;
  expect([command, code, message.includes('/run/kube-nwplcy/')]).toEqual(['ADD', 5, true]);
  expect(await podTraces(node)).toEqual(before);
}

/** Returns the names of pods' own chains and interfaces, as often as the kernel holds them. */
async function podTraces(node: LabNode): Promise<readonly string[]> {
  const text = await output(node.run, ['sh', '-c', WRITERS.list]);
  const names = /\bNWPLCY-P[IE]-[A-Z2-7]{18}|\b(?:to|from)-[A-Z2-7]{18}|\bveth[0-9a-f]+/g;
  return [...text.matchAll(names)].map(([name]) => name).toSorted();
}

async function bash(node: LabNode, script: string): Promise<string> {
  return output(node.run, ['bash', '-c', script]);
}

async function threePods(node: LabNode): Promise<readonly [LabPod, LabPod, LabPod]> {
  const [client, closed, open] = await Promise.all([
    node.addPod({ namespace: 'clients', name: 'client' }),
    node.addPod({ namespace: 'closed', name: 'server' }),
    node.addPod({ namespace: 'open', name: 'server' }),
  ]);
  await node.sync();
  expect([await dial(client, closed), await dial(client, open)].flat()).toEqual(['refused', 'refused', 'open', 'open']);
  return [client, closed, open];
}

async function dial(from: LabPod, to: LabPod, port = 80): Promise<readonly string[]> {
  const targets = to.addresses.map((address) => ({ address, port, protocol: 'TCP' as const }));
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}

describe('a program that is not installed', () => {
  // A node sees its own /usr/sbin: there a program can be absent.
  const hide = (name: string) =>
    `d=$(dirname $(readlink -f $(command -v ${name}))); mkdir -p /run/hide/u /run/hide/w;
     t=$(dirname $(command -v ${name})); mount -t overlay -o lowerdir=$t,upperdir=/run/hide/u,workdir=/run/hide/w overlay $t;
     rm $t/${name}`;

  test(`${WRITERS.from}: the agent does not start and says what to install`, async () => {
    using lab = await startLab({ product: productOf(backendUnderTest, { backend: 'auto' }) });
    const node = lab.node(1);
    const [program = ''] = WRITERS.programs;
    await bash(node, `${hide(program)}; rm -f $t/nft $t/iptables-legacy-restore`);
    const source = `dir:${lab.manifests.directory}`;
    const auto = await node.product(['agent', '--node-name', node.name, '--source', source]);
    expect([auto.exitCode, auto.stderr]).toEqual([
      1,
      expect.stringContaining('install "nftables" or "iptables"') as unknown,
    ]);
    const chosen = await node.product(['agent', '--node-name', node.name, '--source', source, ...BACKEND]);
    expect([chosen.exitCode, chosen.stderr]).toEqual([1, expect.stringContaining(WRITERS.absent) as unknown]);
    expect(chosen.stderr).not.toMatch(/^ {4}at /m);
    await expect(node.addPod({ namespace: 'open', name: 'server' })).rejects.toMatchObject({ code: 101 });
    await node.cni.status();
  });

  // nftables has sets of its own.
  test.skipIf(isNftables)('ipset: nothing is open, status says so, and all is well once it is there', async () => {
    using lab = await startLab({ product: productOf(backendUnderTest, { agentTimeoutMs: 100 }) });
    const node = lab.node(1);
    await bash(node, hide('ipset'));
    const agent = node.launchAgent(BACKEND);
    const client = await node.addPod({ namespace: 'clients', name: 'client' });
    const server = await node.addPod({ namespace: 'open', name: 'server' });
    await sleep(1000);
    expect(agent.isRunning).toBe(true);
    const status = await node.product(['status']);
    expect([status.exitCode, status.stdout]).toEqual([1, expect.stringMatching(/^failure .*ipset/m) as unknown]);
    expect(await dial(client, server)).toEqual(['refused', 'refused']);
    await bash(node, 'umount -l $(dirname $(command -v iptables))');
    await node.sync();
    expect(await dial(client, server)).toEqual(['open', 'open']);
  });

  test('conntrack: the agent and ADD go on, and say it', async () => {
    using lab = await startLab({ product: productOf() });
    const node = lab.node(1);
    await bash(node, hide('conntrack'));
    const agent = await node.startAgent(BACKEND);
    lab.manifests.apply(policy('closed/deny', DENY));
    await threePods(node);
    expect(agent.log()).toContain('install \\"conntrack\\"');
  });
});

describe('with everything in place', () => {
  let cluster: ProductCluster;
  let lab: Lab;
  let node: LabNode;
  let client: LabPod;
  let closed: LabPod;
  let open: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ listen: [80, 81] });
    lab = cluster.lab;
    node = lab.node(1);
    lab.manifests.apply(policy('closed/deny', DENY));
    [client, closed, open] = await threePods(node);
  });
  afterAll(() => cluster[Symbol.dispose]());

  test('bridge netfilter off: ADD fails and says what to set, nothing is left', async () => {
    const before = await podTraces(node);
    // Each pod has a name for each direction, and its interface.
    expect(new Set(before).size).toBe(3 * 3);
    await bash(node, 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables');
    const failure = node.addPod({ namespace: 'open', name: 'unseen' });
    await expect(failure).rejects.toMatchObject({
      code: 100,
      message: expect.stringContaining('set net.bridge.bridge-nf-call-iptables=1') as unknown,
    });
    await bash(node, 'echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables');
    expect(await podTraces(node)).toEqual(before);
  });

  test('a writer of rules that fails for a while: the old policy stays, status tells, the new one comes when it works', async () => {
    await cluster.agent(1).stop();
    const broken = join(lab.directory, 'broken');
    const script = `[ -e ${broken} ] && { echo "no such luck" >&2; exit 1; }; exec "$real" "$@"`;
    const tools = writeTools(lab.directory, Object.fromEntries(WRITERS.programs.map((name) => [name, script])));
    await cluster.startAgent(1, { tools });
    writeFileSync(broken, '');
    lab.manifests.apply(policy('open/deny', DENY));
    lab.manifests.delete(policy('closed/deny', {}));
    const { exitCode } = await node.product(['sync', '--timeout', '1500ms']);
    expect(exitCode).toBe(1);
    const status = await node.product(['status']);
    expect([status.exitCode, status.stdout]).toEqual([
      1,
      expect.stringMatching(/^failure .*no such luck$/m) as unknown,
    ]);
    expect([await dial(client, closed), await dial(client, open)].flat()).toEqual([
      'refused',
      'refused',
      'open',
      'open',
    ]);
    rmSync(broken);
    await node.sync();
    expect([await dial(client, closed), await dial(client, open)].flat()).toEqual([
      'open',
      'open',
      'refused',
      'refused',
    ]);
    expect((await node.product(['status'])).exitCode).toBe(0);
    lab.manifests.delete(policy('open/deny', {}));
    lab.manifests.apply(policy('closed/deny', DENY));
    await node.sync();
  });

  test('SIGTERM that comes while the agent runs a program ends it in order', async () => {
    await cluster.agent(1).stop();
    const [slow, running] = ['slow', 'running'].map((name) => join(lab.directory, name)) as [string, string];
    const script = `[ -e ${slow} ] && { touch ${running}; sleep 2; }; exec "$real" "$@"`;
    const tools = writeTools(lab.directory, { [isNftables ? 'nft' : 'ipset']: script });
    const agent = await cluster.startAgent(1, { tools });
    writeFileSync(slow, '');
    lab.manifests.apply(policy('open/nobody', { podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] }));
    await expect.poll(() => existsSync(running), { timeout: 10_000 }).toBe(true);
    expect(await agent.stop()).toBe(0);
    // No heartbeat: ADD does not wait for an agent that is away.
    expect(existsSync(node.inside(`${node.runtimeDir}/agent`))).toBe(false);
    lab.manifests.delete(policy('open/nobody', {}));
    await cluster.startAgent(1);
  });

  test('a policy of 10,000 rules is enforced, and so is what replaces it', async () => {
    const own = client.addresses.find((address) => address.includes('.')) ?? '';
    const rule = (cidr: string, port: number) => ({ from: [{ ipBlock: { cidr } }], ports: [{ port }] });
    const rules = (last: object) => [
      ...Array.from({ length: 9999 }, (_, index) =>
        rule(`172.${16 + (index >> 12)}.${(index >> 4) & 255}.${(index & 15) << 4}/28`, 1000 + (index % 40)),
      ),
      last,
    ];
    lab.manifests.apply(policy('closed/huge', { podSelector: {}, ingress: rules(rule(`${own}/32`, 80)) }));
    await longSync(node);
    const both = async () => [...(await dial(client, closed)), ...(await dial(client, closed, 81))];
    expect(await both()).toEqual(['open', 'refused', 'refused', 'refused']);
    lab.manifests.apply(policy('closed/huge', { podSelector: {}, ingress: rules(rule(`${own}/32`, 81)) }));
    await longSync(node);
    expect(await both()).toEqual(['refused', 'refused', 'open', 'refused']);
    lab.manifests.delete(policy('closed/huge', {}));
    await longSync(node);
    expect(await both()).toEqual(Array(4).fill('refused'));
  });

  test('names as long as they may be, and labels that mean something to a program, are names like others', async () => {
    const longest = Array.from({ length: 4 }, (_, index) => String(index).repeat(63))
      .join('.')
      .slice(0, 253);
    const namespace = 'n'.repeat(63);
    const labels = { constructor: 'x', hasOwnProperty: 'y', toString: 'z' };
    lab.applyNamespace(namespace, labels);
    lab.manifests.write(
      'longest.yaml',
      JSON.stringify({
        ...policy(`${namespace}/${longest}`, {
          podSelector: { matchLabels: labels },
          ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { toString: 'friend' } } }] }],
        }),
      }),
    );
    const manifest = { namespace, name: longest, manifest: false } as const;
    const pod = await node.createPod(manifest);
    const object = (podIPs: readonly string[]) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace, name: longest, uid: pod.uid, labels },
        spec: { nodeName: node.name },
        status: { phase: 'Running', podIPs: podIPs.map((ip) => ({ ip })) },
      });
    lab.manifests.write('longest-pod.json', object([]));
    await pod.attach();
    lab.manifests.write('longest-pod.json', object(pod.addresses));
    await node.sync();
    const friend = await node.addPod({ namespace: 'clients', name: 'friend', labels: { toString: 'friend' } });
    await node.sync();
    expect([await dial(client, pod), await dial(friend, pod)].flat()).toEqual(['refused', 'refused', 'open', 'open']);
    for (const file of ['longest.yaml', 'longest-pod.json']) lab.manifests.remove(file);
    await friend.delete();
    await pod.delete();
    await node.sync();
  });

  test.for(['../../../../tmp/x', '-j ACCEPT', 'x\ny', 'x" -j ACCEPT "', 'x%00y', 'X', 'a'.repeat(254), '__proto__'])(
    'CNI_ARGS with a pod called %j: ADD refuses with code 4 and leaves nothing',
    async (name) => {
      const before = await podTraces(node);
      const files = readdirSync(node.inside(`${node.runtimeDir}/attachments`));
      await expect(node.addPod({ namespace: 'closed', name, manifest: false })).rejects.toMatchObject({ code: 4 });
      expect(await podTraces(node)).toEqual(before);
      expect(readdirSync(node.inside(`${node.runtimeDir}/attachments`))).toEqual(files);
    },
  );

  test('manifests that cannot be used, beside good ones: what was in force stays, sync and status tell, others apply', async () => {
    const { directory } = lab.manifests;
    const misnamed = { ...policy('open/p', DENY), metadata: { namespace: 'open', name: '-j ACCEPT\n" ../x' } };
    const bad: Readonly<Record<string, { readonly spoil: (path: string) => void; readonly said: RegExp }>> = {
      'broken.yaml': { spoil: (path) => writeFileSync(path, 'kind: [Pod\n  x: "'), said: /:2: Cannot read the YAML/ },
      'mistyped.json': {
        spoil: (path) =>
          writeFileSync(path, JSON.stringify(policy('open/p', { podSelector: [], ingress: 'all' }), undefined, 1)),
        said: /:9: spec\.podSelector: .*\n.*:10: spec\.ingress: /,
      },
      'misnamed.json': { spoil: (path) => writeFileSync(path, JSON.stringify(misnamed)), said: /:1: metadata\.name: / },
      'bomb.yaml': { spoil: (path) => writeFileSync(path, aliasBomb()), said: /: Cannot read the YAML: / },
      'deep.json': { spoil: (path) => writeFileSync(path, '['.repeat(200_000)), said: /deep\.json:/ },
      'bytes.yaml': {
        spoil: (path) => writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0x80, 0)),
        said: /: not UTF-8 text/,
      },
      'huge.yaml': { spoil: (path) => truncateSync(path, 100 * 1024 * 1024), said: /: has 104857600 bytes/ },
      'pipe.yaml': { spoil: (path) => makePipe(path), said: /: not a regular file/ },
    };
    const names = Object.keys(bad);
    for (const [index, name] of names.entries())
      lab.manifests.write(name, JSON.stringify(policy(`open/last-good-${index}`, DENY)));
    await node.sync();
    for (const [name, { spoil }] of Object.entries(bad)) spoil(join(directory, name));
    const sync = await node.product(['sync', '--timeout', '10s']);
    const status = await node.product(['status']);
    expect([sync.exitCode, status.exitCode]).toEqual([1, 1]);
    for (const [name, { said }] of Object.entries(bad)) {
      const lines = sync.stderr.split('\n').filter((line) => line.startsWith(join(directory, name)));
      expect(lines.join('\n')).toMatch(said);
      for (const line of lines) expect(status.stdout).toContain(`problem    ${line}\n`);
    }
    // What came from a file ends no line early.
    expect(
      sync.stderr
        .trimEnd()
        .split('\n')
        .filter((line) => !line.startsWith(directory)),
    ).toEqual([]);
    expect(status.stdout).toMatch(new RegExp(`^policies +${1 + names.length}$`, 'm'));
    lab.manifests.delete(policy('closed/deny', {}));
    await node.product(['sync']);
    expect([await dial(client, closed), await dial(client, open)].flat()).toEqual([
      'open',
      'open',
      'refused',
      'refused',
    ]);
    for (const name of names) lab.manifests.remove(name);
    lab.manifests.apply(policy('closed/deny', DENY));
    await node.sync();
    expect([await dial(client, closed), await dial(client, open)].flat()).toEqual([
      'refused',
      'refused',
      'open',
      'open',
    ]);
  });
});

function makePipe(path: string): void {
  // In one step: a manifest that is gone for a moment takes its objects with it.
  execFileSync('mkfifo', [`${path}.aside`]);
  renameSync(`${path}.aside`, path);
}

function aliasBomb(): string {
  const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let level = 1; level < 12; level += 1)
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(',')}]`,
    );
  return lines.join('\n');
}

async function longSync(node: LabNode): Promise<void> {
  const { exitCode, stderr } = await node.product(['sync', '--timeout', '50s']);
  expect([exitCode, stderr]).toEqual([0, '']);
}
