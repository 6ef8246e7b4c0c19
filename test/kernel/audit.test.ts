import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Target } from '../lab/probe/protocol.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// What only policies in audit mode would refuse passes, and is noted down.

const ANNOTATIONS = { 'kube-nwplcy.io/mode': 'audit' };

function audited({ metadata, ...manifest }: Manifest): Manifest {
  return { ...manifest, metadata: { ...metadata, annotations: ANNOTATIONS } };
}

const DENY = policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });

describe.for(PLACES)('$mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let client: LabPod;
  let server: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, nodes: 1, listen: [80, 81] });
    const { lab } = cluster;
    [client, server] = await Promise.all([
      lab.node(1).addPod({ namespace: 'clients', name: 'client' }),
      lab.node(1).addPod({ namespace: 'shop', name: 'server' }),
    ]);
    lab.manifests.apply(audited(DENY));
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  const target = (port: number, protocol: Target['protocol'] = 'TCP'): Target => ({
    address: server.addresses[0] ?? '',
    port,
    protocol,
  });

  async function outcome(to: Target): Promise<unknown> {
    return (await client.probe.dial([to]))[0]?.outcome;
  }

  async function denied(port: number): Promise<readonly DeniedFlow[]> {
    const { stdout } = await cluster.lab.node(1).product(['denied', '--output', 'json']);
    return (JSON.parse(stdout) as readonly DeniedFlow[]).filter((flow) => flow.port === port);
  }

  test('what would be refused passes, and is told, once a flow', async () => {
    expect([await outcome(target(80)), await outcome(target(81, 'UDP'))]).toEqual(['open', 'open']);
    for (const [port, protocol] of [
      [80, 'TCP'],
      [81, 'UDP'],
    ] as const) {
      const [flow, ...others] = (await denied(port)).filter((one) => one.protocol === protocol);
      expect(others).toEqual([]);
      expect(flow).toMatchObject({ audit: true, direction: 'ingress', packets: 1, policies: ['shop/deny'] });
      expect([flow?.from.pod, flow?.to.pod]).toEqual(['clients/client', 'shop/server']);
    }
    const { stdout } = await cluster.lab.node(1).product(['status']);
    expect(stdout).toContain('policy shop/deny is in audit mode: it refuses nothing\n');
  });

  test('flows that audit mode let pass end when it ends, and begin no more', async () => {
    const streams = await Promise.all(
      (['TCP', 'UDP'] as const).map(async (protocol) =>
        client.probe.openStream(target(80, protocol), { kind: protocol === 'TCP' ? 'echo' : 'download' }),
      ),
    );
    cluster.lab.manifests.apply(DENY);
    await cluster.lab.sync();
    for (const stream of streams) expect(await stream.waitForEnd({ timeoutMs: 5000 })).toBeDefined();
    expect(await outcome(target(80))).not.toBe('open');
    const flows = await denied(80);
    expect(flows.some(({ audit, protocol }) => !audit && protocol === 'TCP')).toBe(true);
  });

  test('a policy that refuses beside one in audit mode refuses, and what the other allows stays allowed', async () => {
    const allow = policy('shop/allow', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] });
    cluster.lab.manifests.apply(audited(allow));
    await cluster.lab.sync();
    expect([await outcome(target(80)), await outcome(target(81))]).toEqual(['open', expect.not.stringMatching('open')]);
    cluster.lab.manifests.delete(DENY);
    await cluster.lab.sync();
    expect([await outcome(target(80)), await outcome(target(81))]).toEqual(['open', 'open']);
  });
});
