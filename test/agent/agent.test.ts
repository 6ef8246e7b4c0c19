import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Agent } from '../../src/agent/agent.ts';
import type { ListenAddress } from '../../src/agent/metrics.ts';
import { askAgent } from '../../src/cli/agentClient.ts';
import { Iptables } from '../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../src/dataplane/iptables/iptablesKernel.ts';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { beat, readHeartbeat } from '../../src/rendezvous/heartbeat.ts';
import { isAcknowledged, removeAttachment, writeAttachment, writeJudgements } from '../../src/rendezvous/attachment.ts';
import { readExpected } from '../../src/rendezvous/expected.ts';
import { claimGeneration } from '../../src/rendezvous/generation.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { addPod, deletePod } from '../../src/rules/iptables/podRestore.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { isProfileChain } from '../../src/rules/names.ts';
import { QUARANTINE } from '../../src/rules/pod.ts';
import type { SourceState } from '../../src/source/source.ts';
import { attachment } from '../helpers/attachments.ts';
import { FakeNetfilter } from '../helpers/fakeNetfilter.ts';
import { clusterSource } from '../helpers/clusterSource.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const WORLD = [namespace('shop'), pod('shop/web', {})];
const PROBLEM = { where: 'x.yaml', line: 3, message: 'spec: Cannot use "y"' };

let fake: FakeNetfilter;
let runtimeDir: string;
let state: SourceState;
let changed: () => void;
let refreshed: () => Promise<void>;
const agents: Agent[] = [];

interface Logged {
  readonly level: number;
  readonly msg: string;
}
const logged: Logged[] = [];

beforeEach(async () => {
  fake = await FakeNetfilter.start();
  runtimeDir = mkdtempSync(join(tmpdir(), 'agent-'));
  state = { inSync: true, cluster: clusterOf(WORLD), problems: [], away: undefined };
  changed = () => {};
  refreshed = async () => {};
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  fake.stop();
  rmSync(runtimeDir, { recursive: true });
});

async function start(metricsAddress?: ListenAddress): Promise<Agent> {
  const agent = new Agent({
    version: '0',
    nodeName: 'node-1',
    runtimeDir,
    source: {
      ...clusterSource(() => state.cluster),
      state: () => state,
      start: async (onChange) => void (changed = onChange),
      refresh: () => refreshed(),
    },
    sourceName: 'dir:/x',
    backend: 'iptables-nft',
    backendReason: 'a test',
    kernel: new IptablesKernel([new Iptables('ipv4', 'iptables-nft')]),
    removeOthers: () => [],
    log: pino({}, { write: (line) => void logged.push(JSON.parse(line) as Logged) }),
    metricsAddress,
  });
  await agent.start();
  agents.push(agent);
  return agent;
}

const ask = (what: 'status' | 'sync') => askAgent({ ask: what }, { runtimeDir, timeoutMs: 10_000 });
const explain = (from: string, to: string) =>
  askAgent({ ask: 'explain', from, to, port: 80, protocol: 'TCP' }, { runtimeDir, timeoutMs: 10_000 });
const isWritten = () => fake.transactions('ipv4').length > 0;
const soon = (check: () => void) => vi.waitFor(check, { timeout: 4000, interval: 10 });

describe('before the source has listed everything once', () => {
  beforeEach(() => {
    state = { inSync: false, cluster: clusterOf([]), problems: [], away: undefined };
  });

  test('nothing is read or written, no pod is told of and the agent counts as away', async () => {
    makeRuntimeDir(runtimeDir);
    beat(runtimeDir, { pid: 1, backend: 'of an agent that was killed' });
    await start();
    changed();
    await ask('status');
    expect([fake.runs, readHeartbeat(runtimeDir), readdirSync(`${runtimeDir}/expected`)]).toEqual([[], undefined, []]);
  });

  test('explain has no answer', async () => {
    await start();
    expect(await explain('shop/web', '10.0.0.9')).toEqual({
      kind: 'failed',
      message: 'Cannot explain: the agent of node-1 has not read everything yet',
    });
  });

  test('sync waits', async () => {
    await start();
    let isSynced = false;
    const reply = ask('sync').then((answer) => ((isSynced = true), answer));
    await ask('status');
    expect(isSynced).toBe(false);
    state = { inSync: true, cluster: clusterOf(WORLD), problems: [], away: undefined };
    changed();
    expect(await reply).toEqual({ kind: 'synced', problems: [] });
    expect(isWritten()).toBe(true);
  });
});

describe('an agent in sync', () => {
  test('is there for the plugin once the kernel is as it should be', async () => {
    await start();
    expect(await ask('sync')).toEqual({ kind: 'synced', problems: [] });
    expect([readHeartbeat(runtimeDir), isWritten()]).toEqual([{ pid: process.pid, backend: 'iptables-nft' }, true]);
  });

  test('sees an attachment at once', async () => {
    await start();
    await ask('sync');
    const record = attachment('shop/web');
    writeAttachment(runtimeDir, record);
    await soon(() => expect(isAcknowledged(runtimeDir, record)).toBe(true));
  });

  test('explains connections by what it knows, as it is now', async () => {
    await start();
    await ask('sync');
    const open = await explain('shop/web', '10.0.0.9');
    expect(open).toMatchObject({
      kind: 'explained',
      answer: { nodeName: 'node-1', backend: 'iptables-nft', isPartial: false },
    });
    const deny = policy('shop/deny', { podSelector: {}, policyTypes: ['Egress'] });
    state = { ...state, cluster: clusterOf([...WORLD, deny]) };
    changed();
    await ask('sync');
    const allowed = [open, await explain('shop/web', '10.0.0.9')].map(
      (reply) => reply.kind === 'explained' && reply.answer.explanation.allowed,
    );
    expect(allowed).toEqual([true, false]);
    expect(await explain('shop/nobody', '10.0.0.9')).toMatchObject({ kind: 'failed' });
  });

  test('sync tells what the source could not use, and asks it anew first', async () => {
    await start();
    refreshed = async () => {
      state = {
        ...state,
        cluster: clusterOf([...WORLD, policy('shop/deny', { podSelector: {} })]),
        problems: [PROBLEM],
      };
    };
    expect(await ask('sync')).toEqual({ kind: 'synced', problems: [PROBLEM] });
    expect(await ask('status')).toMatchObject({
      status: { policies: 1, source: { inSync: true, problems: [PROBLEM] } },
    });
  });

  test('sync ends only when the kernel has taken it, status and log tell why it has not', async () => {
    await start();
    await ask('sync');
    logged.length = 0;
    let failures = 0;
    const fail = () =>
      fake.failNext((run) => {
        if (run.program !== 'iptables-nft-restore' || run.input.includes('-S ')) return undefined;
        failures += 1;
        if (failures < 4) fail();
        return { exitCode: 4, stderr: 'no such luck\n' };
      });
    fail();
    state = { ...state, cluster: clusterOf([...WORLD, policy('shop/deny', { podSelector: {} })]) };
    changed();
    await vi.waitFor(async () =>
      expect(await ask('status')).toMatchObject({ status: { failure: expect.stringContaining('no such luck') } }),
    );
    expect(await ask('sync')).toMatchObject({ kind: 'synced' });
    const { status } = (await ask('status')) as { readonly status: AgentStatus };
    // Nobody else has changed anything.
    expect([failures, status.failure, status.repairs]).toEqual([4, undefined, 0]);
    const told = logged.filter(({ msg }) => msg.includes('trying again'));
    expect(told.map(({ level }) => level)).toEqual([pino.levels.values['warn'], pino.levels.values['error']]);
  });

  test('sync sees what a DEL has taken out by now', async () => {
    const closed = policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] });
    state = { ...state, cluster: clusterOf([...WORLD, closed]) };
    await start();
    await ask('sync');
    const record = attachment('shop/web', { addresses: ['10.0.0.1'] });
    const judgements = readExpected(runtimeDir, record)?.judgements ?? QUARANTINE;
    const mark = generationMark(claimGeneration(runtimeDir), DEFAULT_MARK_MASK);
    writeAttachment(runtimeDir, record);
    fake.tables.ipv4.commit(addPod(record, { family: 'ipv4', judgements, mark, replaced: undefined }));
    writeJudgements(runtimeDir, { id: record, judgements });
    await ask('sync');
    const profiles = () => [...fake.tables.ipv4.chains.keys()].filter(isProfileChain).length;
    removeAttachment(runtimeDir, record);
    state = { ...state, cluster: clusterOf(WORLD) };
    await ask('sync');
    expect(profiles()).toBe(1);
    fake.tables.ipv4.commit(deletePod(record, { family: 'ipv4', place: 'head' }));
    await ask('sync');
    expect(profiles()).toBe(0);
  });

  test('a source that cannot be asked fails the sync, and nothing else', async () => {
    await start();
    refreshed = async () => {
      throw new Error('Cannot list "/x": ENOENT');
    };
    expect(await ask('sync')).toEqual({ kind: 'failed', message: 'Cannot list "/x": ENOENT' });
    expect(await ask('status')).toMatchObject({ kind: 'status' });
  });

  test('a request of another version is told so', async () => {
    await start();
    expect(await askAgent({ ask: 'dance' as 'sync' }, { runtimeDir, timeoutMs: 1000 })).toMatchObject({
      kind: 'failed',
    });
  });

  test('puts right within two seconds what others did', async () => {
    await start();
    await ask('sync');
    fake.tables.ipv4.commit(['-F FORWARD']);
    await soon(() => expect(fake.tables.ipv4.rules('FORWARD')).toEqual(['-j KUBE-NWPLCY-CHAIN']));
  });
});

describe('its metrics', () => {
  let address: ListenAddress;
  beforeEach(async () => void (address = await freeAddress()));

  const page = async (path: string) => await fetch(`http://${address.host}:${address.port}${path}`);
  const value = async (name: string) =>
    Number(
      (await (await page('/metrics')).text())
        .split('\n')
        .find((line) => line.startsWith(`kube_nwplcy_${name} `))
        ?.split(' ')[1],
    );

  test('tell what was written, how late, what was repaired and what the kernel refused', async () => {
    await start(address);
    await ask('sync');
    expect(await value('source_changes_total{kind="Pod"}')).toBe(1);
    const [syncs, lags] = [await value('sync_duration_seconds_count'), await value('source_lag_seconds_count')];
    state = { ...state, cluster: clusterOf([...WORLD, policy('shop/deny', { podSelector: {} })]) };
    fake.failNext((run) => (run.input.includes('-S ') ? undefined : { exitCode: 4, stderr: 'no such luck\n' }));
    changed();
    await ask('sync');
    expect(await value('source_changes_total{kind="NetworkPolicy"}')).toBe(1);
    expect(await value('sync_duration_seconds_count')).toBe(syncs + 1);
    // It took a second try, and counts from when it was heard.
    expect(await value('source_lag_seconds_count')).toBe(lags + 1);
    expect(await value('source_lag_seconds_sum')).toBeGreaterThan(0.25);
    expect(await value('sync_errors_total{cause="kernel"}')).toBe(1);
    fake.tables.ipv4.commit(['-F FORWARD']);
    await vi.waitFor(async () => expect(await value('repairs_total')).toBe(1), { timeout: 4000, interval: 50 });
  });

  test('count what comes and goes, but not what was there before', async () => {
    makeRuntimeDir(runtimeDir);
    writeAttachment(runtimeDir, attachment('shop/before', { addresses: ['10.0.0.9'] }));
    await start(address);
    await ask('sync');
    expect(await value('attachments_total{event="add"}')).toBe(0);
    const record = attachment('shop/web');
    writeAttachment(runtimeDir, record);
    await ask('sync');
    removeAttachment(runtimeDir, record);
    await ask('sync');
    expect([await value('attachments_total{event="add"}'), await value('attachments_total{event="del"}')]).toEqual([
      1, 1,
    ]);
  });

  test('are there before the source is in sync, and say that nothing is ready', async () => {
    state = { inSync: false, cluster: clusterOf([]), problems: [], away: undefined };
    await start(address);
    expect([await value('ready'), await value('source_in_sync'), (await page('/readyz')).status]).toEqual([0, 0, 503]);
    expect([(await page('/healthz')).status, (await page('/')).status]).toEqual([200, 404]);
  });
});

async function freeAddress(): Promise<ListenAddress> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { host: '127.0.0.1', port };
}

test('an agent that ends counts as away, leaves the rules and gives the directory back', async () => {
  const agent = await start();
  await ask('sync');
  const rules = new Map(fake.tables.ipv4.chains);
  await agent.stop();
  agents.length = 0;
  expect([readHeartbeat(runtimeDir), new Map(fake.tables.ipv4.chains)]).toEqual([undefined, rules]);
  await start();
  await ask('sync');
});

test('a second agent says so, and takes nothing from the first', async () => {
  await start();
  await ask('sync');
  await expect(start()).rejects.toThrow('another agent already serves');
  expect(existsSync(`${runtimeDir}/agent.sock`)).toBe(true);
  expect([readHeartbeat(runtimeDir)?.pid, await ask('sync')]).toEqual([process.pid, { kind: 'synced', problems: [] }]);
});
