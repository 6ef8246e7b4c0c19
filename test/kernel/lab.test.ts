import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { IP_FAMILIES } from '../../src/net/family.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import { writeFakePlugin } from '../lab/fakePlugin.ts';
import { startLab, type Lab, type LabOptions } from '../lab/lab.ts';
import { removeLab } from '../lab/leftovers.ts';
import { machine, processesOf } from '../lab/machine.ts';
import { describe as describeCell, isOpen, matrix } from '../lab/matrix.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';

// The lab is what other tests see by: what it does not show, they do not see. It is the same for every backend, and tried once.

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'lab-test-'));
});

afterAll(() => rmSync(scratch, { recursive: true }));

async function addPods(lab: Lab): Promise<readonly LabPod[]> {
  const places = lab.nodes.flatMap((node) => ['red', 'blue'].map((namespace) => ({ node, namespace })));
  return Promise.all(places.map(({ node, namespace }) => node.addPod({ namespace, name: `on-${node.number}` })));
}

describe.skipIf(isNftables).for<{ mode: PodNetworkMode; nodes: number }>([
  { mode: 'bridge', nodes: 1 },
  { mode: 'bridge', nodes: 2 },
  { mode: 'ptp', nodes: 1 },
  { mode: 'ptp', nodes: 2 },
])('$mode, nodes: $nodes', ({ mode, nodes }) => {
  test('pods, nodes and hosts outside reach every pod and host over both families and protocols', async () => {
    using lab = await startLab({ mode, nodes, listen: [80, 6379] });
    const pods = await addPods(lab);
    const host = await lab.addHost('outside', ['172.17.0.9', 'fd00:172:17::9']);
    const parties = [...pods, host];
    const cells = await matrix({ from: [...parties, ...lab.nodes], to: parties }, { ports: [80, 6379] });
    expect(cells.length).toBe((parties.length + nodes) * parties.length * IP_FAMILIES.length * 2 * 2);
    expect(cells.filter((cell) => !isOpen(cell)).map(describeCell)).toEqual([]);
  });

  test('packets between pods pass the FORWARD chain of their node', async () => {
    using lab = await startLab({ mode, nodes });
    const pods = await addPods(lab);
    for (const node of lab.nodes) {
      await output(node.run, ['iptables', '-I', 'FORWARD', '-j', 'DROP']);
      await output(node.run, ['ip6tables', '-I', 'FORWARD', '-p', 'tcp', '-j', 'REJECT', '--reject-with', 'tcp-reset']);
    }
    const cells = await matrix({ from: pods, to: pods }, { ports: [80], protocols: ['TCP'], timeoutMs: 300 });
    const others = cells.filter(({ from, to }) => from !== to);
    expect(
      new Set(others.map(({ target, outcome }) => `${target.address.includes(':') ? 'ipv6' : 'ipv4'} ${outcome}`)),
    ).toEqual(new Set(['ipv4 timeout', 'ipv6 refused']));
  });
});

describe.skipIf(isNftables)('probe', () => {
  test('a hammer sees a pod during its ADD, before the last plugin has done, over TCP and from one UDP port', async () => {
    using lab = await startLab(chaining({ delayMs: 300 }));
    const node = lab.node(1);
    const client = await node.addPod({ namespace: 'red', name: 'client' });
    const mac = '0a:58:0a:f4:01:4d';
    const server = await node.createPod({ namespace: 'red', name: 'server', addresses: ['10.244.1.77'], mac });
    const neighbour = ['10.244.1.77', 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'];
    await output(client.run, ['ip', 'neighbour', 'add', ...neighbour]);
    const target = { address: '10.244.1.77', port: 80 };
    const tcp = await client.probe.hammer({ ...target, protocol: 'TCP' });
    const udp = await client.probe.hammer({ ...target, protocol: 'UDP' }, { sourcePort: 4000 });
    await server.attach();
    const { startedAt, endedAt } = server.addTimes;
    for (const attempts of [await tcp.stop(), await udp.stop()]) {
      const opened = attempts.filter(({ outcome }) => outcome === 'open');
      expect(attempts[0]?.startedAt).toBeLessThan(startedAt);
      expect(opened.length).toBeGreaterThan(50);
      expect(opened[0]?.endedAt).toBeGreaterThan(startedAt);
      expect(opened[0]?.endedAt).toBeLessThan(endedAt);
    }
    const arrivals = await server.probe.arrivals();
    expect(new Set(arrivals.map(({ protocol, from }) => `${protocol} ${from}`))).toEqual(
      new Set([`TCP ${client.addresses[0]}`, `UDP ${client.addresses[0]}`]),
    );
    expect(new Set(arrivals.filter(({ protocol }) => protocol === 'UDP').map(({ fromPort }) => fromPort))).toEqual(
      new Set([4000]),
    );
  });

  test('a stream tells a reset from a stall, and a one-way UDP stream stalls', async () => {
    using lab = await startLab();
    const node = lab.node(1);
    const client = await node.addPod({ namespace: 'red', name: 'client' });
    const server = await node.addPod({ namespace: 'red', name: 'server' });
    const target = { address: server.addresses[0] ?? '', port: 80 };
    const reset = await client.probe.openStream({ ...target, protocol: 'TCP' });
    const stalled = await client.probe.openStream({ ...target, protocol: 'TCP' }, { kind: 'download' });
    const oneWay = await client.probe.openStream({ ...target, protocol: 'UDP' }, { kind: 'download' });
    expect(await Promise.all([reset, stalled, oneWay].map((each) => each.waitForEnd({ timeoutMs: 200 })))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const cutAt = monotonicMs();
    const forward = ['iptables', '-A', 'FORWARD', '-p'];
    const toServer = [
      '-d',
      target.address,
      '-m',
      'length',
      '--length',
      '53',
      '-j',
      'REJECT',
      '--reject-with',
      'tcp-reset',
    ];
    await output(node.run, [...forward, 'tcp', ...toServer]);
    expect((await reset.waitForEnd())?.how).toBe('reset');
    await output(node.run, [...forward, 'all', '-s', target.address, '-j', 'DROP']);
    const ends = await Promise.all([stalled, oneWay].map((each) => each.waitForEnd({ stallMs: 200 })));
    expect(ends.map((end) => end?.how)).toEqual(['stalled', 'stalled']);
    expect(ends.every((end) => (end?.at ?? 0) > cutAt)).toBe(true);
  });
});

test.skipIf(isNftables)(
  'a program that the product is to be without is on the PATH of the node, and not of the product',
  async () => {
    const record = join(scratch, 'record');
    const executable = writeFakePlugin(scratch, 'kube-nwplcy');
    using lab = await startLab({ product: { executable, withoutPrograms: /^ipset$/, conflist: { record } } });
    const node = lab.node(1);
    await node.addPod({ namespace: 'red', name: 'web' });
    const call = JSON.parse(readFileSync(record, 'utf8').split('\n')[0] ?? '') as {
      readonly env: { readonly PATH: string };
    };
    const find = async (name: string, env = {}) => (await node.run(['which', name], { env })).stdout;
    expect(await find('ipset', call.env)).toBe('');
    expect(await find('ipset')).toMatch(/^\/usr\/\S*ipset\n$/);
    expect(await find('nft', call.env)).toBe(`${call.env.PATH}/nft\n`);
    expect((await node.run(['nft', '--version'], { env: call.env })).exitCode).toBe(0);
  },
);

describe.skipIf(isNftables)('a pod', () => {
  test('has the same address again after DEL and ADD, and CHECK tells when its interface is gone', async () => {
    using lab = await startLab();
    const node = lab.node(1);
    const addresses = ['10.244.1.50', 'fd00:244:0:1::50'];
    const pod = await node.addPod({ namespace: 'red', name: 'web', addresses });
    await pod.check();
    await pod.detach();
    expect(pod.addresses).toEqual([]);
    await pod.attach();
    expect(pod.addresses).toEqual(addresses);
    await output(node.run, ['ip', 'link', 'delete', 'cni0']);
    await expect(pod.check()).rejects.toMatchObject({ name: 'CniFailure', command: 'CHECK', plugin: 'bridge' });
    await pod.delete();
    expect([...node.pods]).toEqual([]);
  });

  test("whose ADD fails is gone, and the error is the plugin's", async () => {
    using lab = await startLab(chaining({ failOn: ['ADD'] }));
    const node = lab.node(1);
    const failure = { name: 'CniFailure', command: 'ADD', plugin: 'kube-nwplcy', code: 11 };
    await expect(node.addPod({ namespace: 'red', name: 'web' })).rejects.toMatchObject(failure);
    expect([...node.pods]).toEqual([]);
    expect(readdirSync(node.inside('/run/netns'))).toEqual([]);
    expect(readdirSync(lab.manifests.directory)).toEqual([]);
  });

  test('is written to the manifests as a cluster shows it: without address before ADD, with them after', async () => {
    using lab = await startLab();
    const pod = await lab.node(1).createPod({ namespace: 'red', name: 'web', labels: { app: 'web' }, uid: 'some-uid' });
    expect(readdirSync(lab.manifests.directory)).toEqual([]);
    await pod.attach();
    const file = join(lab.manifests.directory, 'pod.red.web.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      metadata: { namespace: 'red', name: 'web', uid: 'some-uid', labels: { app: 'web' } },
      spec: { nodeName: 'node-1' },
      status: { phase: 'Running', podIPs: [{ ip: '10.244.1.2' }, { ip: 'fd00:244:0:1::2' }] },
    });
    await pod.delete();
    expect(readdirSync(lab.manifests.directory)).toEqual([]);
  });
});

describe.skipIf(isNftables)('what is left', () => {
  test('a lab is nowhere to be seen on the machine, neither while it is up nor afterwards', async () => {
    const before = await machine();
    const lab = await startLab({ nodes: 2 });
    await addPods(lab);
    expect(await machine()).toEqual(before);
    lab.stop();
    expect(await machine()).toEqual(before);
    expect(existsSync(lab.directory)).toBe(false);
    expect(processesOf(lab.directory)).toEqual([]);
  });

  test.for(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('nothing, after %s', async (signal) => {
    const { run, directory } = await labInAnotherProcess();
    expect(processesOf(directory).length).toBe(3);
    run.kill(signal);
    expect(await once(run, 'exit')).toEqual([null, signal]);
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });

  test('nothing, after an error that nobody caught', async () => {
    const { run, directory } = await labInAnotherProcess();
    run.stdin.end('fail\n');
    expect(await once(run, 'exit')).toEqual([1, null]);
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });

  test('all of it, listeners too, if it is kept, until it is removed', async () => {
    const { run, directory } = await labInAnotherProcess();
    run.stdin.end('keep\n');
    expect(await once(run, 'exit')).toEqual([0, null]);
    expect(processesOf(directory).length).toBe(3);
    using other = await startLab();
    expect(processesOf(directory).length).toBe(3);
    removeLab(basename(directory));
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    expect(existsSync(other.directory)).toBe(true);
  });

  test('of a killed run nothing once the next lab starts, which the leftovers do not disturb', async () => {
    const { run, directory } = await labInAnotherProcess();
    run.kill('SIGKILL');
    await once(run, 'exit');
    expect(processesOf(directory).length).toBeGreaterThan(0);
    using lab = await startLab();
    await lab.node(1).addPod({ namespace: 'red', name: 'web' });
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });
});

/** Chains a plugin that does what `conflist` says. */
function chaining(conflist: JsonObject): LabOptions {
  return { product: { executable: writeFakePlugin(scratch, 'kube-nwplcy'), conflist } };
}

async function labInAnotherProcess() {
  const program = `
    import { startLab } from ${JSON.stringify(join(import.meta.dirname, '../lab/lab.ts'))};
    const lab = await startLab();
    await lab.node(1).addPod({ namespace: 'red', name: 'web' });
    console.log(lab.directory);
    process.stdin.on('data', (line) => {
      if (String(line) === 'fail\\n') throw new Error('Deliberate');
      void lab.keep();
    });
  `;
  const argv = ['--input-type=module', '--eval', program];
  const run = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void run.kill('SIGKILL'));
  const [directory] = (await once(createInterface(run.stdout), 'line')) as [string];
  onTestFinished(() => removeLab(basename(directory)));
  return { run, directory };
}
