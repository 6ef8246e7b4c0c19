import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ExpectedPods } from '../../src/agent/expectedPods.ts';
import { compile } from '../../src/policy/compile.ts';
import { listExpected, readExpected, writeExpected } from '../../src/rendezvous/expected.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { clusterOf, pod, policy, type Manifest } from '../helpers/manifests.ts';

const WEB = pod('shop/web', {});
const DB = pod('shop/db', { addresses: ['10.0.0.2'] });
const DENY = policy('shop/deny', { podSelector: {} });

let dir: string;
let expected: ExpectedPods;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rendezvous-'));
  makeRuntimeDir(dir);
  expected = new ExpectedPods(dir);
});
afterEach(() => rmSync(dir, { recursive: true }));

function update(...manifests: readonly Manifest[]): void {
  const cluster = clusterOf(manifests);
  expected.update(cluster, wantedPolicy(compile(cluster, 'node-1')));
}

const web = () => readExpected(dir, { namespace: 'shop', name: 'web' });
const writtenAt = (key: string) => statSync(`${dir}/expected/${key}`, { bigint: true }).ino;

describe('a pod is expected', () => {
  test('as soon as the source shows it on this node, with an address or not', () => {
    update(WEB, DB);
    expect(listExpected(dir).toSorted()).toEqual(['shop/db', 'shop/web']);
    expect(web()).toEqual({
      namespace: 'shop',
      name: 'web',
      uids: [],
      judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } },
    });
  });

  test('to be judged as its policies say', () => {
    update(WEB, DENY);
    const cluster = clusterOf([WEB, DENY]);
    expect(web()?.judgements).toEqual(wantedPolicy(compile(cluster, 'node-1')).judgements.get('shop/web'));
    expect(web()?.judgements).toEqual({
      ingress: { kind: 'profile', chain: expect.stringMatching(/^NWPLCY-/) },
      egress: { kind: 'open' },
    });
  });

  test('under its uid, and under its hash if it is static', () => {
    const annotations = { 'kubernetes.io/config.mirror': 'h', 'kubernetes.io/config.hash': 'h' };
    update({ ...WEB, metadata: { namespace: 'shop', name: 'web', uid: 'u', annotations } });
    expect(web()?.uids).toEqual(['u', 'h']);
  });

  test.for([
    { what: 'is of another node', manifest: pod('shop/web', { nodeName: 'node-2' }) },
    { what: 'has the node’s own network', manifest: pod('shop/web', { hostNetwork: true }) },
    { what: 'has finished', manifest: pod('shop/web', { phase: 'Succeeded' }) },
    { what: 'has failed', manifest: pod('shop/web', { phase: 'Failed' }) },
  ])('but not one that $what', ({ manifest }) => {
    update(manifest);
    expect(web()).toBeUndefined();
  });

  test('until the source shows it no longer', () => {
    update(WEB, DB);
    update(DB);
    expect(listExpected(dir)).toEqual(['shop/db']);
  });
});

describe('files', () => {
  test('are written only where something changed', () => {
    update(WEB, DB);
    const before = [writtenAt('shop/web'), writtenAt('shop/db')];
    update(WEB, DB);
    expect([writtenAt('shop/web'), writtenAt('shop/db')]).toEqual(before);
    update(WEB, DB, policy('shop/deny', { podSelector: { matchLabels: { app: 'none' } } }));
    expect([writtenAt('shop/web'), writtenAt('shop/db')]).toEqual(before);
    update(WEB, DB, DENY);
    expect(writtenAt('shop/web')).not.toBe(before[0]);
  });

  test('of an earlier agent are written anew or removed', () => {
    const judgements = {
      ingress: { kind: 'profile', chain: 'NWPLCY-GONEGONEGONEGONEGONE' },
      egress: { kind: 'open' },
    } as const;
    for (const name of ['web', 'old']) writeExpected(dir, { namespace: 'shop', name, uids: [], judgements });
    writeExpected(dir, { namespace: 'lab', name: 'x', uids: [], judgements });
    update(WEB);
    expect([listExpected(dir), web()?.judgements.ingress]).toEqual([['shop/web'], { kind: 'open' }]);
  });

  test('that could not be written are all looked at again', () => {
    update(WEB);
    rmSync(`${dir}/expected/shop`, { recursive: true });
    writeFileSync(`${dir}/expected/shop`, '');
    expect(() => update(WEB, DB)).toThrow(/ENOTDIR|EEXIST/);
    rmSync(`${dir}/expected/shop`);
    update(WEB, DB);
    expect(listExpected(dir).toSorted()).toEqual(['shop/db', 'shop/web']);
    expect(readdirSync(`${dir}/expected/shop`)).toHaveLength(2);
  });
});
