import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Target } from '../lab/probe/protocol.ts';
import { output } from '../lab/run.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// What was refused is noted down by the kernel, and told by the agent.

describe.for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let client: LabPod;
  let server: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, nodes: 1 });
    const { lab } = cluster;
    [client, server] = await Promise.all([
      lab.node(1).addPod({ namespace: 'clients', name: 'client', labels: { app: 'client' } }),
      lab.node(1).addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } }),
    ]);
    lab.manifests.apply(policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
    lab.manifests.apply(
      policy('clients/egress', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 80 }, { port: 81, protocol: 'UDP' }] }],
      }),
    );
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  async function denied(...args: readonly string[]): Promise<readonly DeniedFlow[]> {
    const { exitCode, stdout, stderr } = await cluster.lab.node(1).product(['denied', '--output', 'json', ...args]);
    expect([exitCode, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as readonly DeniedFlow[];
  }

  async function outcome(target: Target): Promise<unknown> {
    const [result] = await client.probe.dial([target]);
    return result?.outcome;
  }

  const about = (flows: readonly DeniedFlow[]) =>
    new Set(
      flows.map(
        ({ audit, direction, from, to, protocol, port, policies }) =>
          `${audit ? 'audit ' : ''}${direction} ${from.pod} ${to.pod} ${port}/${protocol} ${policies.join()}`,
      ),
    );

  test('refusals of both ends are told, with ports, pods and policies', async () => {
    const started = Date.now();
    for (const address of server.addresses) {
      for (const port of [80, 81]) expect(await outcome({ address, port, protocol: 'TCP' })).not.toBe('open');
      expect(await outcome({ address, port: 81, protocol: 'UDP' })).not.toBe('open');
    }
    const flows = await denied();
    expect(about(flows)).toEqual(
      new Set([
        'ingress clients/client shop/server 80/TCP shop/deny',
        'egress clients/client shop/server 81/TCP clients/egress',
        'ingress clients/client shop/server 81/UDP shop/deny',
      ]),
    );
    // One of each in each family.
    expect(flows.length).toBe(3 * server.addresses.length);
    for (const { packets, firstSeen, lastSeen } of flows) {
      expect(packets).toBeGreaterThan(0);
      expect(Date.parse(firstSeen)).toBeGreaterThan(started - 2000);
      expect(Date.parse(lastSeen)).toBeGreaterThanOrEqual(Date.parse(firstSeen));
      expect(Date.parse(lastSeen)).toBeLessThan(Date.now() + 2000);
    }
    expect((await denied('--namespace', 'nobody')).length).toBe(0);
  });

  test('more of a flow is counted, and its first packet stays its first', async () => {
    const [address = ''] = server.addresses;
    const ofPort = (flows: readonly DeniedFlow[]) =>
      flows.find(({ port, protocol, to }) => port === 80 && protocol === 'TCP' && to.address === address);
    const before = ofPort(await denied());
    await sleep(1500);
    for (let count = 0; count < 3; count += 1) await outcome({ address, port: 80, protocol: 'TCP' });
    const after = ofPort(await denied());
    expect((after?.packets ?? 0) - (before?.packets ?? 0)).toBeGreaterThanOrEqual(3);
    const [first, last] = [before, after].map((flow) => Date.parse(flow?.firstSeen ?? ''));
    expect(Math.abs((first ?? 0) - (last ?? 0))).toBeLessThan(1100);
    expect(Date.parse(after?.lastSeen ?? '') - Date.parse(before?.lastSeen ?? '')).toBeGreaterThan(900);
  });

  test('is no change of others, and survives an agent that is started again', async () => {
    const { repairs } = await statusOf();
    const known = about(await denied());
    const [address = ''] = server.addresses;
    for (let port = 1000; port < 1020; port += 1) await outcome({ address, port, protocol: 'TCP' });
    // A thorough look comes every 15 seconds.
    await sleep(16_500);
    expect((await statusOf()).repairs).toBe(repairs);
    await cluster.agent(1).stop();
    await cluster.startAgent(1);
    const after = about(await denied());
    expect(known.difference(after)).toEqual(new Set());
    expect(after.has('egress clients/client shop/server 1019/TCP clients/egress')).toBe(true);
    expect((await statusOf()).repairs).toBe(0);
  });

  test('however many there are, refusals refuse, and the kernel says nothing of it', async () => {
    const [address = ''] = server.addresses;
    const name = `denied ${mode} ${Date.now()}`;
    await output(cluster.lab.node(1).run, ['sh', '-c', `echo '${name}' >/dev/kmsg`]);
    // Each packet is a flow of its own.
    await output(client.run, [
      'bash',
      '-c',
      `for port in $(seq 2000 5000); do echo x >/dev/udp/${address}/$port; done 2>/dev/null; true`,
    ]);
    const flows = (await denied()).filter(({ to }) => to.address === address);
    expect(flows.length).toBeGreaterThan(150);
    expect(flows.length).toBeLessThanOrEqual(512 + 10);
    expect(await outcome({ address, port: 80, protocol: 'TCP' })).not.toBe('open');
    const said = await output(cluster.lab.node(1).run, ['dmesg']);
    expect(said.slice(said.indexOf(name))).not.toMatch(/Set NWPLCY|is full/);
  });

  async function statusOf(): Promise<{ readonly repairs: number }> {
    const { stdout } = await cluster.lab.node(1).product(['status', '--output', 'json']);
    return JSON.parse(stdout) as { readonly repairs: number };
  }
});
