import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KernelView } from '../../src/cli/kernelView.ts';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// What was refused is logged to an NFLOG group, where that is asked for: tcpdump hears it.

const TCPDUMP = '/usr/bin/tcpdump';
if (!existsSync(TCPDUMP)) process.stderr.write(`Tests of NFLOG are skipped: ${TCPDUMP} is not there\n`);
const GROUP = 7;
/** So many at once, and so many a second, in one chain of one family. */
const [BURST, PER_SECOND] = [20, 10];

describe.skipIf(!existsSync(TCPDUMP)).for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let heard: string;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, nodes: 1 });
    node = cluster.lab.node(1);
    await cluster.agent(1).stop();
    await cluster.startAgent(1, { args: ['--nflog-group', `${GROUP}`] });
    [client, server] = await Promise.all([
      node.addPod({ namespace: 'clients', name: 'client' }),
      node.addPod({ namespace: 'shop', name: 'server' }),
    ]);
    cluster.lab.manifests.apply(policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
    const ports = [{ port: 80 }, { port: 81, endPort: 6000, protocol: 'UDP' }];
    cluster.lab.manifests.apply(
      policy('clients/egress', { podSelector: {}, policyTypes: ['Egress'], egress: [{ ports }] }),
    );
    await cluster.lab.sync();
    heard = join(cluster.lab.directory, 'nflog.pcap');
    const script = `"$0" -Z root -i nflog:${GROUP} -U -w "$1" >"$1.log" 2>&1 &`;
    await output(node.run, ['sh', '-c', script, TCPDUMP, heard]);
    while (!readFileSync(`${heard}.log`, 'utf8').includes('listening on')) await sleep(100);
  });
  afterAll(() => cluster[Symbol.dispose]());

  /** How often something was heard with this prefix. */
  const times = (prefix: string) => readFileSync(heard, 'latin1').split(`${prefix}\0`).length - 1;

  async function dial(address: string, port: number): Promise<void> {
    const [result] = await client.probe.dial([{ address, port, protocol: 'TCP' }]);
    expect(result?.outcome).not.toBe('open');
  }

  async function status(): Promise<AgentStatus> {
    const { stdout } = await node.product(['status', '--output', 'json']);
    const { agent, ...rest } = JSON.parse(stdout) as AgentStatus & { readonly agent?: AgentStatus };
    return agent ?? rest;
  }

  test('CHECK finds nothing missing, explain looks past it, and a thorough look sees no change of others', async () => {
    const { repairs } = await status();
    await server.check();
    const { stdout } = await node.product([
      'explain',
      '--from',
      'clients/client',
      '--to',
      'shop/server',
      '--port',
      '80',
      '--output',
      'json',
    ]);
    const { kernel } = JSON.parse(stdout) as { readonly kernel: KernelView };
    expect(kernel).toMatchObject({ kind: 'followed', differs: false, verdict: 'refused' });
    await sleep(16_500);
    expect((await status()).repairs).toBe(repairs);
  });

  test('packets of both ends and families are heard, with what became of them', async () => {
    for (const address of server.addresses) {
      await dial(address, 80);
      await dial(address, 443);
    }
    for (const direction of ['ingress', 'egress'])
      await vi.waitFor(
        () => expect(times(`nwplcy denied ${direction}`)).toBeGreaterThanOrEqual(server.addresses.length),
        10_000,
      );
    expect(times('nwplcy audited ingress')).toBe(0);
    expect((await node.product(['status'])).stdout).toMatch(/^log +NFLOG group 7$/m);
  });

  test('who floods a pod does not flood those who listen', async () => {
    const [address = ''] = server.addresses;
    const before = times('nwplcy denied ingress');
    const started = performance.now();
    // Each packet is a flow of its own.
    await output(client.run, [
      'bash',
      '-c',
      `for port in $(seq 2000 5000); do echo x >/dev/udp/${address}/$port; done 2>/dev/null; true`,
    ]);
    await sleep(1000);
    const seconds = (performance.now() - started) / 1000;
    const count = times('nwplcy denied ingress') - before;
    expect(count).toBeGreaterThan(5);
    expect(count).toBeLessThanOrEqual(BURST + PER_SECOND * (seconds + 1));
  });

  test('an ADD without an agent refuses all the same, and an agent that wants no log takes it out', async () => {
    await cluster.agent(1).stop();
    const late = await node.addPod({ namespace: 'shop', name: 'late' });
    await late.check();
    for (const pod of [late, server]) await dial(pod.addresses[0] ?? '', 80);
    await cluster.startAgent(1, { args: ['--nflog-group', `${GROUP}`] });
    await cluster.lab.sync();
    const before = times('nwplcy denied ingress');
    await dial(server.addresses[0] ?? '', 80);
    await vi.waitFor(() => expect(times('nwplcy denied ingress')).toBeGreaterThan(before), 10_000);
    await cluster.agent(1).stop();
    await cluster.startAgent(1);
    await cluster.lab.sync();
    const rules = Object.values(await node.snapshot()).join('\n');
    expect(rules).toMatch(/NWPLCY-REJECT-INGRESS|denied-ingress4/);
    expect(rules).not.toMatch(/NFLOG|log prefix/);
    expect((await node.product(['status'])).stdout).not.toMatch('NFLOG');
  });
});
