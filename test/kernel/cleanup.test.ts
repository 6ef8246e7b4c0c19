import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { conflistText } from '../install/conflists.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { filesSnapshot } from '../lab/snapshot.ts';
import { policy } from './cluster.ts';

// A node that the product was on is afterwards as it was before, to the byte, with everybody else's rules, sets, files and traffic.

const DIRECTORIES = ['--cni-bin-dir', '/run/cni/bin', '--cni-conf-dir', '/run/cni/net.d'];
const FLANNEL = conflistText('flannel.conflist');

interface Removal {
  readonly backend: Backend;
  /** The lines, as patterns, that tell what was taken out of the kernel. */
  readonly told: readonly string[];
}

const inIptables = (backend: Backend): Removal => ({
  backend,
  told: [
    `${backend} ipv4: removed 2 jumps and 1\\d chains`,
    `${backend} ipv6: removed 2 jumps and 1\\d chains`,
    'ipset: removed \\d+ sets',
  ],
});

describe.for<Removal>([
  { backend: 'nftables', told: ['nftables: removed 2 tables'] },
  inIptables('iptables-nft'),
  inIptables('iptables-legacy'),
])('cleaning up after $backend', ({ backend, told }) => {
  test('leaves others as they were, and refuses nothing while it runs', async () => {
    using lab = await startedLab(backend);
    const node = lab.node(1);
    prepare(node);
    await output(node.run, ['sh', '-ec', NEIGHBOURS]);
    const before = await everything(node);
    await node.product(['install', ...DIRECTORIES]);
    const { server, client } = await used(lab, backend);
    const hammer = await client.probe.hammer({ address: server.addresses[0] ?? '', port: 80, protocol: 'TCP' });
    const { exitCode, stdout, stderr } = await node.product(['cleanup', ...DIRECTORIES]);
    const attempts = await hammer.stop();
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      new RegExp(
        [
          '^/run/cni/net\\.d/10-flannel\\.conflist: removed kube-nwplcy',
          ...told,
          '/run/kube-nwplcy: removed the runtime directory',
          '/run/cni/bin/kube-nwplcy: removed the executable\n$',
        ].join('\n'),
      ),
    );
    expect(await everything(node)).toEqual(before);
    expect(attempts.length).toBeGreaterThan(100);
    expect(attempts.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
    // What no policy of anybody's refuses any more.
    expect(await dial(server, client)).toEqual(['open', 'open']);
    const again = await node.product(['cleanup', ...DIRECTORIES]);
    expect(again).toEqual({ exitCode: 0, stdout: 'Nothing to remove\n', stderr: '' });
  });
});

test.for<{ backend: Backend; steps: number }>([
  { backend: 'nftables', steps: 4 },
  { backend: 'iptables-nft', steps: 6 },
])('a node without any rules has none after $backend, and no table that was not there', async ({ backend, steps }) => {
  using lab = await startedLab(backend);
  const node = lab.node(1);
  prepare(node);
  const before = await everything(node);
  await node.product(['install', ...DIRECTORIES]);
  await used(lab, backend);
  const dry = await node.product(['cleanup', ...DIRECTORIES, '--dry-run']);
  expect([dry.exitCode, dry.stdout.match(/: would remove /g)?.length]).toEqual([0, steps]);
  expect((await node.product(['cleanup', ...DIRECTORIES])).exitCode).toBe(0);
  expect(await everything(node)).toEqual(before);
});

test('chains that nothing leads to any more are found, with a foreign rule that iptables cannot print', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  await used(lab, 'iptables-nft');
  await output(node.run, [
    'bash',
    '-ec',
    `for t in iptables-nft ip6tables-nft; do $t -F NWPLCY-INGRESS; $t -F NWPLCY-EGRESS; $t -F NWPLCY-PROFILES; done
     nft add rule ip filter FORWARD meta mark set numgen inc mod 2; nft add rule ip6 filter NWPLCY-REJECT tcp option maxseg size set rt mtu`,
  ]);
  const { exitCode, stderr } = await node.product(['cleanup', ...DIRECTORIES]);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(await output(node.run, ['nft', '--stateless', 'list', 'ruleset'])).toBe(
    'table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tmeta mark set numgen inc mod 2\n\t}\n}\n',
  );
});

test('our jump goes from behind a rule with which iptables can do nothing at all', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  const foreign = 'fib daddr type local ct status dnat counter accept';
  await used(lab, 'iptables-nft');
  await output(node.run, ['nft', `insert rule ip filter FORWARD ${foreign}; insert rule ip filter OUTPUT ${foreign}`]);
  const { exitCode, stderr } = await node.product(['cleanup', ...DIRECTORIES]);
  expect([exitCode, stderr]).toEqual([0, '']);
  const left = await output(node.run, ['nft', '--stateless', 'list', 'ruleset']);
  expect([left.includes('NWPLCY'), left.split(foreign).length]).toEqual([false, 3]);
});

test.for([
  { title: 'nft', missing: ['nft'] },
  { title: 'iptables-legacy', missing: ['iptables-legacy-restore', 'ip6tables-legacy-restore', 'iptables-legacy'] },
  { title: 'modprobe, conntrack and ip', missing: ['modprobe', 'conntrack', 'ip'] },
])('works without $title', async ({ missing }) => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  await used(lab, 'iptables-nft');
  const { exitCode, stderr } = await node.run([executable(), 'cleanup', ...DIRECTORIES], {
    env: { PATH: await toolsWithout(lab, missing) },
  });
  expect([exitCode, stderr]).toEqual([0, '']);
  const left = await output(node.run, ['bash', '-c', 'iptables-nft -S; ip6tables-nft -S; ipset list -name']);
  expect(left.split('\n').filter((line) => line.includes('NWPLCY'))).toEqual([]);
});

test('without ipset there are no sets, and the rest goes', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  await node.addPod({ namespace: 'shop', name: 'server' });
  const { exitCode, stdout } = await node.run([executable(), 'cleanup', ...DIRECTORIES], {
    env: { PATH: await toolsWithout(lab, ['ipset']) },
  });
  expect([exitCode, stdout]).toEqual([
    0,
    [
      'iptables-nft ipv4: removed 2 jumps and 12 chains',
      'iptables-nft ipv6: removed 2 jumps and 12 chains',
      '/run/kube-nwplcy: removed the runtime directory\n',
    ].join('\n'),
  ]);
});

test('a set that somebody else uses is told, and goes once it is free', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  prepare(node);
  await node.product(['install', ...DIRECTORIES]);
  await used(lab, 'iptables-nft');
  const set = (await output(node.run, ['ipset', 'list', '-name'])).match(/^NWPLCY4-.*$/m)?.[0] ?? '';
  await output(node.run, ['iptables-nft', '-A', 'INPUT', '-m', 'set', '--match-set', set, 'src', '-j', 'ACCEPT']);
  const first = await node.product(['cleanup', ...DIRECTORIES]);
  expect([first.exitCode, first.stderr]).toEqual([
    1,
    `ipset: Cannot destroy ${set}: a rule names it that is not ours; remove that rule and run this again\n`,
  ]);
  await output(node.run, ['iptables-nft', '-F', 'INPUT']);
  const second = await node.product(['cleanup', ...DIRECTORIES]);
  expect([second.exitCode, second.stdout]).toEqual([
    0,
    'ipset: removed 1 set\n/run/kube-nwplcy: removed the runtime directory\n/run/cni/bin/kube-nwplcy: removed the executable\n',
  ]);
});

test('a chain that somebody else leads to is told, and nothing of its table goes before it is free', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  await used(lab, 'iptables-nft');
  await output(node.run, ['iptables-nft', '-A', 'INPUT', '-j', 'NWPLCY-REJECT']);
  const before = await output(node.run, ['iptables-nft', '-S']);
  const first = await node.product(['cleanup', ...DIRECTORIES]);
  expect([first.exitCode, first.stderr]).toEqual([
    1,
    expect.stringMatching(
      /^iptables-nft ipv4: Cannot run ".*": .*NWPLCY-REJECT.*; does a rule of others lead to a chain of ours\? Remove it and run this again\n$/,
    ),
  ]);
  expect(await output(node.run, ['iptables-nft', '-S'])).toBe(before);
  await output(node.run, ['iptables-nft', '-D', 'INPUT', '-j', 'NWPLCY-REJECT']);
  const second = await node.product(['cleanup', ...DIRECTORIES]);
  expect([second.exitCode, second.stderr]).toEqual([0, '']);
});

test('what is not ours in our places stays', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  prepare(node);
  mkdirSync(node.inside('/run/cni/bin'), { recursive: true });
  writeFileSync(node.inside('/run/cni/bin/kube-nwplcy'), '#!/bin/sh\n# KUBE-NWPLCY-CHAIN\n');
  mkdirSync(node.inside(node.runtimeDir));
  writeFileSync(node.inside(`${node.runtimeDir}/mine`), '');
  const { exitCode, stdout } = await node.product(['cleanup', ...DIRECTORIES]);
  expect([exitCode, stdout]).toEqual([0, '/run/cni/bin/kube-nwplcy: kept: it is not this program\n']);
  expect(readdirSync(node.inside(node.runtimeDir))).toEqual(['mine']);
});

test('while the agent runs nothing is touched', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  prepare(node);
  await node.product(['install', ...DIRECTORIES]);
  await node.startAgent(['--backend', 'iptables-nft']);
  const before = await everything(node);
  const { exitCode, stderr } = await node.product(['cleanup', ...DIRECTORIES]);
  expect([exitCode, stderr]).toEqual([1, 'Cannot clean up: the agent of "/run/kube-nwplcy" runs; stop it first\n']);
  expect(await everything(node)).toEqual(before);
});

test('install sets what the bridge needs, and the executable that it copied is the plugin', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  prepare(node);
  await output(node.run, ['bash', '-c', 'echo 0 | tee /proc/sys/net/bridge/bridge-nf-call-ip{,6}tables']);
  const { exitCode, stdout } = await node.product(['install', ...DIRECTORIES]);
  expect([exitCode, stdout]).toEqual([
    0,
    [
      '/run/cni/bin/kube-nwplcy: copied the executable',
      'net.bridge.bridge-nf-call-iptables: set to 1',
      'net.bridge.bridge-nf-call-ip6tables: set to 1',
      '/run/cni/net.d/10-flannel.conflist: added kube-nwplcy after portmap\n',
    ].join('\n'),
  ]);
  expect(readFileSync(node.inside('/proc/sys/net/bridge/bridge-nf-call-iptables'), 'utf8')).toBe('1\n');
  const version = await output(node.run, ['/run/cni/bin/kube-nwplcy'], {
    env: { CNI_COMMAND: 'VERSION' },
    input: '{"cniVersion":"1.0.0"}',
  });
  expect(JSON.parse(version)).toMatchObject({ cniVersion: '1.0.0' });
});

test('install where /proc/sys is read-only asks for nothing that is right already, and otherwise says what to run', async () => {
  using lab = await startedLab('iptables-nft');
  const node = lab.node(1);
  prepare(node);
  const bridge = '/proc/sys/net/bridge';
  await output(node.run, [
    'sh',
    '-ec',
    `echo 0 >${bridge}/bridge-nf-call-ip6tables; mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys`,
  ]);
  const refused = await node.product(['install', ...DIRECTORIES]);
  expect([refused.exitCode, refused.stdout, refused.stderr]).toEqual([
    1,
    '/run/cni/bin/kube-nwplcy: copied the executable\n',
    'Cannot set net.bridge.bridge-nf-call-ip6tables: EROFS; run "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1" on the node\n',
  ]);
  expect(readFileSync(node.inside('/run/cni/net.d/10-flannel.conflist'), 'utf8')).toBe(FLANNEL);
  await output(node.run, [
    'sh',
    '-ec',
    `mount -o remount,rw,bind /proc/sys; echo 1 >${bridge}/bridge-nf-call-ip6tables; mount -o remount,ro,bind /proc/sys`,
  ]);
  expect((await node.product(['install', ...DIRECTORIES])).exitCode).toBe(0);
});

/** Rules, sets and tables of all sorts, some of them named almost like ours. */
const NEIGHBOURS = `
for t in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
  $t -N DOCKER-USER; $t -A DOCKER-USER -j RETURN; $t -A FORWARD -j DOCKER-USER
  $t -N NWPLCY-MINE; $t -N NWPLCY-PI-MINE; $t -N KUBE-NWPLCY-OTHER; $t -A NWPLCY-MINE -m comment --comment '-N NWPLCY-REJECT' -j KUBE-NWPLCY-OTHER
  $t -A FORWARD -m comment --comment '-j KUBE-NWPLCY-CHAIN' -j NWPLCY-MINE
  $t -P INPUT ACCEPT
done
ipset create NWPLCY4-MINE hash:ip; ipset create others hash:net; ipset add others 10.9.0.0/16
iptables-nft -A DOCKER-USER -m set --match-set others src -j ACCEPT
nft -f - <<END
table inet firewall {
  set s { type ipv4_addr; elements = { 10.8.0.1 }; }
  chain forward { type filter hook forward priority 10; policy accept; ip saddr @s drop; meta mark set numgen inc mod 2; }
  chain NWPLCY-REJECT { }
}
table ip mine {
  chain NWPLCY-REJECT { }
}
END`;

function executable(): string {
  return env['KUBE_NWPLCY'] ?? new URL('../../dist/kube-nwplcy', import.meta.url).pathname;
}

async function startedLab(backend: Backend): Promise<Lab> {
  return startLab({ listen: [80], product: { executable: executable(), conflist: { backend } } });
}

function prepare(node: LabNode): void {
  mkdirSync(node.inside('/run/cni/net.d'), { recursive: true });
  writeFileSync(node.inside('/run/cni/net.d/10-flannel.conflist'), FLANNEL);
}

/** Has the product do all that it does on a node, then ends the agent. The pods stay, a client of the server may come in. */
async function used(lab: Lab, backend: Backend): Promise<{ readonly server: LabPod; readonly client: LabPod }> {
  const node = lab.node(1);
  const agent = await node.startAgent(['--backend', backend]);
  const from = [{ podSelector: { matchLabels: { role: 'client' } } }, { ipBlock: { cidr: '192.0.2.0/24' } }];
  lab.manifests.apply(policy('shop/server', { podSelector: { matchLabels: { role: 'server' } }, ingress: [{ from }] }));
  lab.manifests.apply(policy('shop/client', { podSelector: { matchLabels: { role: 'client' } }, ingress: [] }));
  const server = await node.addPod({ namespace: 'shop', name: 'server', labels: { role: 'server' } });
  const client = await node.addPod({ namespace: 'shop', name: 'client', labels: { role: 'client' } });
  await node.addPod({ namespace: 'shop', name: 'other' });
  await lab.sync();
  expect([await dial(client, server), await dial(server, client)]).toEqual([
    ['open', 'open'],
    ['refused', 'refused'],
  ]);
  await agent.stop();
  return { server, client };
}

async function dial(from: LabPod, to: LabPod): Promise<readonly string[]> {
  const targets = to.addresses.map((address) => ({ address, port: 80, protocol: 'TCP' as const }));
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}

async function everything(node: LabNode) {
  return {
    ...(await node.snapshot()),
    ...filesSnapshot(node.inside('/run/cni')),
    runtimeDir: existsSync(node.inside(node.runtimeDir)),
  };
}

/** Returns a PATH without some programs. */
async function toolsWithout(lab: Lab, missing: readonly string[]): Promise<string> {
  const directory = `${lab.directory}/tools`;
  mkdirSync(directory);
  await output(lab.node(1).run, [
    'bash',
    '-ec',
    `for f in /usr/sbin/* /usr/bin/*; do ln -sf $f ${directory}/; done; cd ${directory}; rm -f ${missing.join(' ')}`,
  ]);
  return directory;
}
