import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NodeSync } from '../../src/agent/nodeSync.ts';
import { Iptables } from '../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../src/dataplane/iptables/iptablesKernel.ts';
import type { IpFamily } from '../../src/net/family.ts';
import {
  isAcknowledged,
  removeAttachment,
  writeAttachment,
  writeJudgements,
  type Attachment,
} from '../../src/rendezvous/attachment.ts';
import { listExpected, readExpected } from '../../src/rendezvous/expected.ts';
import { claimGeneration } from '../../src/rendezvous/generation.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import { isProfileChain } from '../../src/rules/names.ts';
import type { PodJudgements } from '../../src/rules/pod.ts';
import { addPod, deletePod, podChainNames } from '../../src/rules/iptables/podRestore.ts';
import { attachment } from '../helpers/attachments.ts';
import { clusterSource } from '../helpers/clusterSource.ts';
import { FakeNetfilter } from '../helpers/fakeNetfilter.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const FAMILIES: readonly IpFamily[] = ['ipv4', 'ipv6'];
const WEB = attachment('shop/web', { addresses: ['10.0.0.1', 'fd00::1'] });
const DB = attachment('shop/db', { addresses: ['10.0.0.2'] });
const labels = (app: string) => ({ labels: { app } });
const WORLD: readonly Manifest[] = [namespace('shop'), pod('shop/web', labels('web')), pod('shop/db', labels('db'))];
const DB_FROM_WEB = policy('shop/db', {
  podSelector: { matchLabels: { app: 'db' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
});

let fake: FakeNetfilter;
let runtimeDir: string;
let cluster = clusterOf([]);
let sync: NodeSync;

const source = clusterSource(() => cluster);

beforeEach(async () => {
  fake = await FakeNetfilter.start();
  runtimeDir = mkdtempSync(join(tmpdir(), 'node-sync-'));
  makeRuntimeDir(runtimeDir);
  cluster = clusterOf([...WORLD, DB_FROM_WEB]);
  sync = newSync();
});
afterEach(() => {
  fake.stop();
  rmSync(runtimeDir, { recursive: true });
});

function newSync(): NodeSync {
  const tables = FAMILIES.map((family) => new Iptables(family, 'iptables-nft'));
  return new NodeSync({
    nodeName: 'node-1',
    runtimeDir,
    source,
    backend: 'iptables-nft',
    kernel: new IptablesKernel(tables),
    removeOthers: () => [],
    log: pino({ level: 'silent' }),
  });
}

/** What ADD does in the families of the pod's addresses once the agent has told what it expects. */
function hookIn(record: Attachment): PodJudgements {
  const expected = readExpected(runtimeDir, record)?.judgements;
  const judgements: PodJudgements = expected ?? { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };
  for (const family of FAMILIES.filter((one) =>
    record.addresses.some((address) => address.includes(':') === (one === 'ipv6')),
  )) {
    const mark = generationMark(claimGeneration(runtimeDir), DEFAULT_MARK_MASK);
    fake.tables[family].commit(addPod(record, { family, judgements, mark, replaced: undefined }));
  }
  return judgements;
}

/** A pass with what it leaves to be done beside it. */
async function pass(look: 'none' | 'quick' | 'thorough'): Promise<void> {
  await sync.pass({ look, records: 'all' });
  await sync.flowsEnded();
}

async function add(record: Attachment): Promise<void> {
  writeAttachment(runtimeDir, record);
  const judgements = hookIn(record);
  await pass('none');
  writeJudgements(runtimeDir, { id: record, judgements });
  await pass('none');
}

/** What a set of the node's policies holds. */
function members(): readonly string[] {
  return [...fake.sets.sets.values()].flatMap((some) => [...some]).toSorted();
}

function chain(
  record: Attachment,
  { direction = 0, family = 'ipv4' }: { readonly direction?: number; readonly family?: IpFamily } = {},
): readonly string[] {
  return fake.tables[family].rules(podChainNames(record)[direction] ?? '');
}

describe('the first pass', () => {
  test('brings up the standing chains, expects the node’s pods and raises the generation', async () => {
    await pass('thorough');
    expect(FAMILIES.map((family) => fake.tables[family].rules('FORWARD')[0])).toEqual(
      Array(2).fill('-j KUBE-NWPLCY-CHAIN'),
    );
    expect(listExpected(runtimeDir).toSorted()).toEqual(['shop/db', 'shop/web']);
    const profile = readExpected(runtimeDir, { namespace: 'shop', name: 'db' })?.judgements.ingress;
    expect(profile).toEqual({ kind: 'profile', chain: expect.stringMatching(/^NWPLCY-/) });
    // A profile depends on no address: what is expected is there before any pod is.
    expect(fake.tables.ipv4.chains.has(profile?.kind === 'profile' ? profile.chain : '')).toBe(true);
    expect(sync.report()).toMatchObject({
      generation: claimGeneration(runtimeDir) - 1,
      pods: { attached: 0, isolated: 0, quarantined: [] },
    });
  });

  test('of an agent that starts again changes no pod’s rules', async () => {
    await pass('thorough');
    await add(WEB);
    await add(DB);
    const before = FAMILIES.map((family) =>
      [...fake.tables[family].chains].filter(([name]) => name !== 'KUBE-NWPLCY-CHAIN'),
    );
    sync = newSync();
    await pass('thorough');
    await pass('quick');
    expect(
      FAMILIES.map((family) => [...fake.tables[family].chains].filter(([name]) => name !== 'KUBE-NWPLCY-CHAIN')),
    ).toEqual(before);
    expect(sync.report().pods).toEqual({
      attached: 2,
      adopted: 0,
      isolated: 1,
      quarantined: [],
      quarantinedSince: {},
      bridged: 2,
    });
  });
});

describe('a pod that nobody recorded', () => {
  test('is hooked in by its addresses where nothing can look for its interface', async () => {
    for (const program of ['ip', 'bridge'])
      writeFileSync(join(fake.directory, program), '#!/bin/sh\nexit 1\n', { mode: 0o700 });
    cluster = clusterOf([namespace('shop'), pod('shop/db', { ...labels('db'), addresses: DB.addresses }), DB_FROM_WEB]);
    await pass('thorough');
    expect(sync.report().pods).toEqual({
      attached: 1,
      adopted: 1,
      isolated: 1,
      quarantined: [],
      quarantinedSince: {},
      bridged: 0,
    });
    expect(fake.tables.ipv4.rules('NWPLCY-INGRESS')).toEqual([
      expect.stringMatching(/^-d 10\.0\.0\.2\/32 .*"shop\/db" -g NWPLCY-PI-/),
    ]);
    expect(listExpected(runtimeDir)).toEqual(['shop/db']);
  });
});

describe('a pod that is added', () => {
  test('is in its peers’ sets and acknowledged before it is hooked in, its chains untouched', async () => {
    await pass('thorough');
    writeAttachment(runtimeDir, WEB);
    fake.runs.length = 0;
    await pass('none');
    expect([members(), isAcknowledged(runtimeDir, WEB)]).toEqual([['10.0.0.1', 'fd00::1'], true]);
    expect(fake.transactions('ipv4')).toEqual([]);
    expect(fake.runs.map(({ args }) => args.join(' ')).toSorted()).toEqual([
      '-D -f ipv4 -s 10.0.0.1',
      '-D -f ipv6 -s fd00::1',
      'restore -exist',
    ]);
  });

  test('is acknowledged only when the flows of its address’s earlier holder have ended', async () => {
    await pass('thorough');
    const release = fake.hold(({ program, args }) => program === 'conntrack' && args[0] === '-D');
    writeAttachment(runtimeDir, DB);
    const passed = pass('none');
    await vi.waitFor(() => expect(fake.runs.at(-1)?.program).toBe('ip6tables-nft-restore'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAcknowledged(runtimeDir, DB)).toBe(false);
    release();
    await passed;
    expect(isAcknowledged(runtimeDir, DB)).toBe(true);
  });

  test('stays judged as it is, pass after pass', async () => {
    await pass('thorough');
    await add(DB);
    const judged = chain(DB);
    expect(judged.at(-1)).toMatch(/^-g NWPLCY-[A-Z2-7]{20}$/);
    for (const look of ['none', 'quick', 'thorough', 'none'] as const) await pass(look);
    expect(chain(DB)).toEqual(judged);
    expect(sync.report()).toMatchObject({ pods: { attached: 1, isolated: 1, quarantined: [] }, repairs: 0 });
  });

  test('is locked in the family that it has no address in before it is acknowledged', async () => {
    await pass('thorough');
    writeAttachment(runtimeDir, DB);
    await pass('none');
    expect([chain(DB, { direction: 1, family: 'ipv6' }), isAcknowledged(runtimeDir, DB)]).toEqual([['-j DROP'], true]);
  });

  test('is refused everything while the source does not show it, and judged once it does', async () => {
    cluster = clusterOf([namespace('shop')]);
    await pass('thorough');
    await add(DB);
    expect([chain(DB).at(-1), sync.report().pods.quarantined]).toEqual(['-g NWPLCY-REJECT-INGRESS', ['shop/db']]);
    cluster = clusterOf([...WORLD, DB_FROM_WEB]);
    await pass('none');
    expect([chain(DB).at(-1), sync.report().pods.quarantined]).toEqual([
      expect.stringMatching(/^-g NWPLCY-[A-Z2-7]{20}$/),
      [],
    ]);
  });

  test('and changes its labels is judged anew', async () => {
    await pass('thorough');
    await add(DB);
    cluster = clusterOf([...WORLD.slice(0, 2), pod('shop/db', labels('other')), DB_FROM_WEB]);
    await pass('none');
    expect([chain(DB).at(-1), [...fake.tables.ipv4.chains.keys()].filter(isProfileChain), members()]).toEqual([
      '-j RETURN',
      [],
      [],
    ]);
  });
});

describe('a pod that is deleted', () => {
  test('leaves its peers’ sets at once, while the source still shows it', async () => {
    await pass('thorough');
    await add(WEB);
    removeAttachment(runtimeDir, WEB);
    for (const family of FAMILIES) fake.tables[family].commit(deletePod(WEB, { family, place: 'head' }));
    fake.runs.length = 0;
    await pass('none');
    expect([members(), sync.report().pods.attached]).toEqual([[], 0]);
    await pass('thorough');
    expect([...fake.tables.ipv4.chains.keys()].filter((name) => podChainNames(WEB).includes(name))).toEqual([]);
  });

  test('is left alone while its DEL is under way', async () => {
    await pass('thorough');
    await add(WEB);
    removeAttachment(runtimeDir, WEB);
    await pass('thorough');
    expect(chain(WEB).length).toBeGreaterThan(0);
    for (const family of FAMILIES) fake.tables[family].commit(deletePod(WEB, { family, place: 'head' }));
    await pass('quick');
    expect(fake.tables.ipv4.rules('NWPLCY-INGRESS')).toEqual([]);
  });

  test('leaves to a later look what its DEL had still led to, which is nobody else’s doing', async () => {
    await pass('thorough');
    await add(DB);
    const [profile = ''] = [...fake.tables.ipv4.chains.keys()].filter(isProfileChain);
    removeAttachment(runtimeDir, DB);
    cluster = clusterOf(WORLD);
    await pass('thorough');
    expect(fake.tables.ipv4.chains.has(profile)).toBe(true);
    for (const family of FAMILIES) fake.tables[family].commit(deletePod(DB, { family, place: 'head' }));
    await pass('quick');
    expect([fake.tables.ipv4.chains.has(profile), sync.report().repairs, sync.isAnyLeaving()]).toEqual([
      false,
      0,
      true,
    ]);
  });
});

describe('what others did is put right and counted', () => {
  test('at the next look', async () => {
    await pass('thorough');
    await add(DB);
    const whole = new Map(fake.tables.ipv4.chains);
    fake.tables.ipv4.commit(['-F FORWARD', `-F ${podChainNames(DB)[0]}`]);
    await pass('quick');
    expect([...fake.tables.ipv4.chains.keys()]).toEqual([...whole.keys()]);
    expect([chain(DB).length, fake.tables.ipv4.rules('FORWARD')[0], sync.report().repairs]).toEqual([
      2,
      '-j KUBE-NWPLCY-CHAIN',
      1,
    ]);
  });
});

test('a pass that the kernel refuses is made good by the next one that looks', async () => {
  await pass('thorough');
  await add(DB);
  cluster = clusterOf([...WORLD, DB_FROM_WEB, policy('shop/deny', { podSelector: {}, policyTypes: ['Egress'] })]);
  fake.failNext(({ program }) =>
    program === 'iptables-nft-restore' ? { exitCode: 4, stderr: 'no such luck\n' } : undefined,
  );
  await expect(pass('none')).rejects.toThrow('no such luck');
  await pass('thorough');
  expect(chain(DB, { direction: 1 })).toEqual([
    '-d 10.0.0.2/32 -j RETURN',
    expect.stringMatching(/^-s 10\.0\.0\.2\/32 -g NWPLCY-[A-Z2-7]{20}$/),
    '-j DROP',
  ]);
});

test('a UDP flow of a local pod that is refused both ways by now is ended, and no other', async () => {
  cluster = clusterOf(WORLD);
  await pass('thorough');
  await add(WEB);
  await add(DB);
  const flow = (from: string, to: string) =>
    `udp 17 29 src=${from} dst=${to} sport=5000 dport=53 src=${to} dst=${from} sport=53 dport=5000 mark=0 use=1\n`;
  fake.flows.ipv4 = [flow('10.0.0.1', '10.0.0.2'), flow('192.0.2.1', '10.0.0.2'), flow('192.0.2.1', '192.0.2.2')].join(
    '',
  );
  // Not even the pod that sends may go on: db may neither be reached from outside nor reach out.
  cluster = clusterOf([
    ...WORLD,
    DB_FROM_WEB,
    policy('shop/out', { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Egress'] }),
  ]);
  fake.runs.length = 0;
  await pass('none');
  const deleted = fake.runs
    .filter(({ program, args }) => program === 'conntrack' && args[0] === '-D')
    .map(({ args }) => args.join(' '));
  expect(deleted).toEqual(['-D -f ipv4 -p udp -s 192.0.2.1 -d 10.0.0.2 --dport 53']);
});

describe('a pass for the source’s sake alone', () => {
  const QUIET = { look: 'none', records: new Set<string>() } as const;
  const far = (address: string, app = 'far') =>
    pod('shop/far', { ...labels(app), addresses: [address], nodeName: 'node-2' });

  beforeEach(async () => {
    cluster = clusterOf([...WORLD, DB_FROM_WEB, far('10.0.1.1')]);
    await pass('thorough');
    await add(DB);
  });

  test('runs nothing, and looks at no file, where what changed means nothing to this node’s pods', async () => {
    fake.runs.length = 0;
    rmSync(`${runtimeDir}/acknowledged`, { recursive: true });
    rmSync(`${runtimeDir}/expected`, { recursive: true });
    cluster = clusterOf([...WORLD, DB_FROM_WEB, far('10.0.1.2')]);
    await sync.pass(QUIET);
    expect(fake.runs).toEqual([]);
  });

  test('writes what does mean something', async () => {
    cluster = clusterOf([...WORLD, DB_FROM_WEB, far('10.0.1.2', 'web')]);
    await sync.pass(QUIET);
    expect(members()).toEqual(['10.0.1.2']);
    cluster = clusterOf(WORLD);
    await sync.pass(QUIET);
    expect(chain(DB).at(-1)).toBe('-j RETURN');
  });

  test('that failed half-way is made up for by the next one', async () => {
    let isBroken = true;
    class Breakable<T> extends Map<string, T> {
      override get(key: string): T | undefined {
        if (isBroken) throw new Error('broken');
        return super.get(key);
      }
    }
    cluster = { ...cluster, policies: new Breakable(clusterOf([policy('shop/new', { podSelector: {} })]).policies) };
    await expect(sync.pass(QUIET)).rejects.toThrow('broken');
    isBroken = false;
    await sync.pass(QUIET);
    expect(members()).toEqual([]);
    expect(chain(DB).at(-1)).toMatch(/^-g NWPLCY-/);
  });
});
