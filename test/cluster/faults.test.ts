import { env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { policy } from '../kernel/cluster.ts';
import { settledSnapshot } from '../kernel/settled.ts';
import { ALLOWED_PORT, FORBIDDEN_PORT, Traffic } from '../kernel/traffic.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { ApiCluster } from './apiCluster.ts';

// An API server that is away, comes back, forgets, or is not heard; an agent that is killed. What was in force stays so, nothing forbidden passes
// and nothing allowed breaks meanwhile, and what changed is in force afterwards.

const PORTS = [ALLOWED_PORT, FORBIDDEN_PORT];
/** How long "away" is: a minute where there is time. */
const AWAY_MS = env['KUBE_NWPLCY_SLOW'] === undefined ? 3000 : 60_000;

let cluster: ApiCluster;
let client: LabPod;
let server: LabPod;
let friend: LabPod;

beforeAll(async () => {
  cluster = await ApiCluster.start({ mode: 'ptp', listen: PORTS });
  const { lab } = cluster;
  server = await lab.node(1).addPod({ namespace: 'shop', name: 'server', labels: { app: 'server' } });
  client = await lab.node(2).addPod({ namespace: 'shop', name: 'client', labels: { role: 'client' } });
  friend = await lab.node(2).addPod({ namespace: 'shop', name: 'friend', labels: { role: 'friend' } });
});
afterAll(() => cluster[Symbol.dispose]());

beforeEach(async () => {
  await letIn(['client']);
  await cluster.lab.sync();
});

/** Changes the policy: these roles reach the server at one port, and all else is refused. */
async function letIn(roles: readonly string[]): Promise<void> {
  const ports = ['TCP', 'UDP'].map((protocol) => ({ protocol, port: ALLOWED_PORT }));
  const from = [{ podSelector: { matchExpressions: [{ key: 'role', operator: 'In', values: roles }] } }];
  const spec = {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from, ports }],
  };
  await cluster.api.admin.apply(policy('shop/server', spec));
}

async function isIn(): Promise<boolean> {
  return (await outcome(friend, server)) === 'open';
}

async function outcome(from: LabPod, to: LabPod): Promise<string | undefined> {
  const [address = ''] = to.addresses;
  return (await from.probe.dial([{ address, port: ALLOWED_PORT, protocol: 'TCP' }]))[0]?.outcome;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = monotonicMs() + 60_000; !(await condition()); await sleep(50))
    if (monotonicMs() > deadline) throw new Error('Cannot go on: what was waited for did not come within a minute');
}

async function status(): Promise<AgentStatus> {
  const { stdout } = await cluster.lab.node(1).product(['status', '--output', 'json']);
  return JSON.parse(stdout) as AgentStatus;
}

interface Fault {
  readonly name: string;
  /** Makes the change that is to be seen, sometime. */
  readonly during: (change: () => Promise<void>) => Promise<void>;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'the API server restarts',
    during: async (change) => {
      const { api } = cluster;
      await api.apiServer().kill();
      await sleep(AWAY_MS);
      await api.startApiServer();
      await change();
    },
  },
  {
    name: 'the API server stands still',
    during: async (change) => {
      const { api } = cluster;
      api.apiServer().pause();
      await sleep(AWAY_MS);
      api.apiServer().resume();
      await change();
    },
  },
  {
    name: 'etcd restarts',
    during: async (change) => {
      const { api } = cluster;
      await api.etcd.kill();
      await sleep(AWAY_MS);
      api.startEtcd();
      await until(async () =>
        api.admin.request('GET', '/readyz').then(
          () => true,
          () => false,
        ),
      );
      await change();
    },
  },
  {
    name: 'the missed history is compacted away',
    during: async (change) => {
      const { api } = cluster;
      await api.cutOff();
      await change();
      await api.compact();
      await api.apiServer().kill();
      await api.startApiServer();
      await api.reconnect();
    },
  },
  {
    name: 'connections die and nobody says so',
    during: async (change) => {
      const { api } = cluster;
      await api.freezeConnections();
      await change();
      const changedAt = monotonicMs();
      await until(isIn);
      process.stdout.write(`Dead connections: a change was in force ${seconds(monotonicMs() - changedAt)} s later\n`);
      await api.reconnect();
    },
  },
  {
    name: 'all packets are lost for a while',
    during: async (change) => {
      const { api } = cluster;
      await api.cutOff();
      await change();
      await sleep(AWAY_MS);
      await api.reconnect();
    },
  },
];

describe('what was in force stays so, and what has changed is in force afterwards', () => {
  test.for(FAULTS)('$name', async ({ during }) => {
    const traffic = await Traffic.start(client, server);
    const before = await Promise.all(cluster.lab.nodes.map(settledSnapshot));
    let meanwhile: unknown;
    await during(async () => {
      meanwhile = await Promise.all(cluster.lab.nodes.map(settledSnapshot));
      await letIn(['client', 'friend']);
    });
    await until(isIn);
    expect(meanwhile).toEqual(before);
    expect(await traffic.wrongs()).toEqual([]);
    expect(await cluster.wrongs([server, client, friend], { ports: PORTS })).toEqual([]);
    await until(async () => (await status()).source.away === undefined);
  });
});

describe('while the API server is away', () => {
  test('status says so, and a pod that was known before is added with its own rules', async () => {
    const { lab, api } = cluster;
    const [open, closed] = await Promise.all(
      ['other', 'server'].map(async (app) => {
        const pod = await lab.node(1).createPod({ ...NEW, name: `new-${app}`, labels: { app } });
        await pod.announce();
        return pod;
      }),
    );
    await lab.sync();
    await api.apiServer().kill();
    await until(async () => (await status()).source.away !== undefined);
    expect((await lab.node(1).product(['status'])).exitCode).toBe(1);
    const pods = [open, closed].filter((pod) => pod !== undefined);
    for (const pod of pods) await pod.attach();
    expect(await Promise.all(pods.map(async (pod) => outcome(friend, pod)))).toEqual(['open', 'refused']);

    await api.startApiServer();
    for (const pod of pods) await pod.publish();
    await until(async () => (await status()).source.away === undefined);
    expect(await cluster.wrongs([server, client, friend, ...pods], { ports: PORTS })).toEqual([]);
    for (const pod of pods) await pod.delete();
  });

  test('an agent that starts changes nothing until it has heard all', async () => {
    const { lab, api, product } = cluster;
    const traffic = await Traffic.start(client, server);
    const before = await settledSnapshot(lab.node(1));
    await product.agent(1).kill();
    await api.apiServer().kill();
    const agent = product.launchAgent(1);
    await until(async () => (await lab.node(1).product(['status'])).stdout.includes('away since'));
    expect(await settledSnapshot(lab.node(1))).toEqual(before);
    await api.startApiServer();
    await letIn(['client', 'friend']);
    await until(isIn);
    expect(await traffic.wrongs()).toEqual([]);
    expect(agent.isRunning).toBe(true);
    expect(await cluster.wrongs([server, client, friend], { ports: PORTS })).toEqual([]);
  });
});

test('an agent that is killed and started again under load lets nothing forbidden through and breaks nothing allowed', async () => {
  const { lab, product } = cluster;
  const traffic = await Traffic.start(client, server);
  for (const number of [1, 2, 1]) {
    await product.agent(number).kill();
    await letIn(number === 1 ? ['client', 'nobody'] : ['client']);
    await product.startAgent(number);
    await lab.sync();
  }
  expect(await traffic.wrongs()).toEqual([]);
  expect(await cluster.wrongs([server, client, friend], { ports: PORTS })).toEqual([]);
});

const NEW = { namespace: 'shop', publishAfterMs: Infinity };

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
