import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { Buffer } from 'node:buffer';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { cleanRuntimeDir } from '../../src/install/cleanup.ts';
import { removeExecutable } from '../../src/install/executable.ts';
import { countRememberedPods } from '../../src/install/rememberedPods.ts';
import { writeAttachment } from '../../src/rendezvous/attachment.ts';
import { writeBackendChoice } from '../../src/rendezvous/backendChoice.ts';
import { writeExpected } from '../../src/rendezvous/expected.ts';
import { claimGeneration } from '../../src/rendezvous/generation.ts';
import { beat } from '../../src/rendezvous/heartbeat.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { QUARANTINE } from '../../src/rules/pod.ts';
import { attachment } from '../helpers/attachments.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

/** Writes all that plugin and agent write. */
function use(runtimeDir: string): void {
  makeRuntimeDir(runtimeDir);
  writeAttachment(runtimeDir, attachment('shop/web'));
  writeExpected(runtimeDir, { namespace: 'shop', name: 'web', uids: [], judgements: QUARANTINE });
  writeBackendChoice(runtimeDir, 'iptables-nft');
  beat(runtimeDir, { pid: 1, backend: 'iptables-nft' });
  claimGeneration(runtimeDir);
  mkdirSync(`${runtimeDir}/manifests`);
  writeFileSync(`${runtimeDir}/manifests/copy`, '');
  writeFileSync(`${runtimeDir}/.77backend`, 'cut short');
}

test('nothing stays of a runtime directory', () => {
  using directory = new TemporaryDirectory();
  const runtimeDir = directory.file('run');
  use(runtimeDir);
  const step = { path: runtimeDir, verb: 'removed', what: 'the runtime directory' };
  expect(cleanRuntimeDir(runtimeDir, { dryRun: true })).toEqual([step]);
  expect(readdirSync(runtimeDir)).toHaveLength(10);
  expect(cleanRuntimeDir(runtimeDir, { dryRun: false })).toEqual([step]);
  expect(existsSync(runtimeDir)).toBe(false);
  expect(cleanRuntimeDir(runtimeDir, { dryRun: false })).toEqual([]);
});

test('what somebody else has put into it stays, and so it does', () => {
  using directory = new TemporaryDirectory();
  use(directory.path);
  writeFileSync(directory.file('mine'), '');
  expect(cleanRuntimeDir(directory.path, { dryRun: false })[1]).toEqual({
    path: directory.path,
    verb: 'kept',
    what: 'mine: not ours',
  });
  expect(readdirSync(directory.path)).toEqual(['mine']);
  expect(cleanRuntimeDir(directory.path, { dryRun: false })).toEqual([]);
});

test('another directory that was named by mistake is left alone, whatever its files are called', () => {
  using directory = new TemporaryDirectory();
  mkdirSync(directory.file('manifests'));
  writeFileSync(directory.file('agent'), '');
  expect(cleanRuntimeDir(directory.path, { dryRun: false })).toEqual([
    { path: directory.path, verb: 'kept', what: 'it has no "attachments", and so is no runtime directory' },
  ]);
  expect(readdirSync(directory.path)).toEqual(['agent', 'manifests']);
});

test.for([
  {
    title: 'this program, of whatever version',
    bytes: `\u007fELF${'x'.repeat(1024 * 1024 - 10)}KUBE-NWPLCY-CHAIN…`,
    verb: 'removed',
  },
  { title: 'another program', bytes: '\u007fELF…', verb: 'kept' },
  { title: 'a script', bytes: '#!/bin/sh\n# KUBE-NWPLCY-CHAIN\n', verb: 'kept' },
  { title: 'an empty file', bytes: '', verb: 'kept' },
])("in the executable's place $title is $verb", ({ bytes, verb }) => {
  using directory = new TemporaryDirectory();
  const path = directory.file('kube-nwplcy');
  writeFileSync(path, bytes, 'latin1');
  expect(removeExecutable(path, { dryRun: false }).map((step) => step.verb)).toEqual([verb]);
  expect(existsSync(path)).toBe(verb === 'kept');
});

test('CRI-O will call for the pods that were made with the plugin, containerd will not', () => {
  using root = new TemporaryDirectory();
  const results = root.file('var/lib/cni/results');
  mkdirSync(results, { recursive: true });
  const cached = (...types: readonly string[]) =>
    JSON.stringify({
      kind: 'cniCacheV1',
      config: Buffer.from(JSON.stringify({ plugins: types.map((type) => ({ type })) })).toString('base64'),
    });
  writeFileSync(`${results}/pods-1-eth0`, cached('bridge', 'kube-nwplcy'));
  writeFileSync(`${results}/pods-2-eth0`, cached('bridge'));
  writeFileSync(`${results}/pods-3-eth0`, 'broken');
  expect(countRememberedPods(root.path)).toBe(0);
  const socket = root.file('run/crio/crio.sock');
  mkdirSync(dirname(socket), { recursive: true });
  writeFileSync(socket, '');
  expect(countRememberedPods(root.path)).toBe(1);
});
