import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stderr } from 'node:process';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CniFailure, type CniCommand, type Json, type PluginConf } from '../lab/cniRuntime.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { backendUnderTest, isNftables, productOf } from '../kernel/backend.ts';
import { policy } from '../kernel/cluster.ts';
import { withoutOldGenerations } from '../kernel/settled.ts';

// The packed executable as runtimes call it: by libcni itself, and by hand where libcni would not send such things.

const HOOKS_LISTING = isNftables
  ? ['nft', 'list', 'map', 'inet', 'kube-nwplcy', 'ingress4']
  : ['iptables-nft', '-S', 'NWPLCY-INGRESS'];

const CNITOOL = 'github.com/containernetworking/cni/cnitool@v1.3.1';
const cnitool = await installCnitool();

describe.skipIf(cnitool === undefined)('through cnitool', () => {
  test.for(['0.3.1', '0.4.0', '1.0.0'])(
    'version %s: ADD, CHECK and DEL in a chain after bridge, and policy holds',
    async (cniVersion) => {
      using lab = await startLab({
        cniVersion,
        ...(cnitool === undefined ? {} : { cnitool }),
        product: productOf(),
      });
      const node = lab.node(1);
      await node.startAgent(['--backend', backendUnderTest]);
      lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress'] }));
      await lab.sync();
      const before = withoutGenerations(await node.snapshot());
      const client = await node.addPod({ namespace: 'clients', name: 'client' });
      const closed = await node.addPod({ namespace: 'closed', name: 'server' });
      expect(closed.result).toMatchObject({ cniVersion, ips: [{}, {}] });
      expect(await dial(client, closed)).toEqual(['refused', 'refused']);
      expect(await dial(closed, client)).toEqual(['open', 'open']);
      // CHECK came with 0.4.0, and libcni asks no plugin of before.
      const checked = await closed.check().catch(String);
      expect(checked?.includes('does not support the CHECK command')).toBe(cniVersion === '0.3.1' ? true : undefined);
      for (const pod of [client, closed]) {
        await pod.detach();
        await pod.delete();
      }
      await lab.sync();
      expect(withoutGenerations(await node.snapshot())).toEqual(before);
    },
  );
});

describe('called by hand', () => {
  let lab: Lab;
  let node: LabNode;
  let pod: LabPod;

  beforeAll(async () => {
    lab = await startLab({ product: productOf() });
    node = lab.node(1);
    await node.startAgent(['--backend', backendUnderTest]);
    pod = await node.addPod({ namespace: 'open', name: 'web' });
  });
  afterAll(() => lab.stop());

  function conf(more: Readonly<Record<string, Json>> = {}): PluginConf {
    const { runtimeDir } = node;
    return { type: 'kube-nwplcy', name: 'lab', cniVersion: '1.1.0', runtimeDir, backend: backendUnderTest, ...more };
  }

  async function codeOf(command: CniCommand, config: PluginConf): Promise<number> {
    const failure = await node.cni
      .call(command, { config, attachment: pod.attachment })
      .catch((error: unknown) => error);
    return failure instanceof CniFailure ? failure.code : -1;
  }

  test('VERSION tells all versions', async () => {
    expect(await node.cni.version('kube-nwplcy')).toEqual(['0.3.1', '0.4.0', '1.0.0', '1.1.0']);
  });

  test('STATUS is ready once an agent has been in sync, and says nothing; a bad key is told', async () => {
    expect(await node.cni.call('STATUS', { config: conf() })).toBe('');
    expect(await codeOf('STATUS', conf({ foo: 1 }))).toBe(7);
    expect(await codeOf('STATUS', conf({ cniVersion: '1.0.0' }))).toBe(1);
  });

  test('GC keeps what is valid and takes out what is not', async () => {
    const stale = await node.addPod({ namespace: 'open', name: 'stale' });
    const valid = [{ containerID: pod.containerId, ifname: 'eth0' }];
    expect(await node.cni.call('GC', { config: conf({ 'cni.dev/valid-attachments': valid }) })).toBe('');
    const rules = (await node.run(HOOKS_LISTING)).stdout;
    expect([rules.includes('open/web'), rules.includes('open/stale')]).toEqual([true, false]);
    expect(await codeOf('GC', conf())).toBe(7);
    await stale.delete();
  });

  test('garbage on stdin is code 6, a wrong version 1, in the shape of an error', async () => {
    const executable = resolve(import.meta.dirname, '../../dist/kube-nwplcy');
    for (const [input, code] of [
      ['garbage', 6],
      ['', 6],
      ['\u0000\uffff', 6],
      ['[1,2', 6],
      ['[[['.repeat(50_000), 6],
      ['{"cniVersion":"9.9.9","name":"x","type":"kube-nwplcy"}', 1],
    ] as const) {
      const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/n', CNI_IFNAME: 'eth0' };
      const { exitCode, stdout } = await execa(executable, { input, env, reject: false });
      expect({ exitCode, printed: JSON.parse(stdout) as unknown }).toEqual({
        exitCode: 1,
        printed: expect.objectContaining({ code, cniVersion: '1.1.0' }) as unknown,
      });
    }
  });

  test('a prevResult comes out as it went in: unknown fields, order, and numbers too big for a double', async () => {
    const odd = `"x-big":123456789012345678901234567890,"x-exact":1.10,"__proto__":{"a":[1e400]},"x":{"\u00e9":null}`;
    const text = `{"cniVersion":"1.1.0",${odd},"interfaces":${JSON.stringify(pod.result?.interfaces)},"ips":${JSON.stringify(pod.result?.ips)}}`;
    const input = JSON.stringify(conf({ prevResult: 'HERE' })).replace('"HERE"', text);
    const { attachment } = pod;
    const env = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns,
      CNI_IFNAME: attachment.ifName,
      CNI_ARGS: Object.entries(attachment.args)
        .map(([key, value]) => `${key}=${value}`)
        .join(';'),
      CNI_PATH: '/usr/lib/cni',
    };
    const executable = resolve(import.meta.dirname, '../../dist/kube-nwplcy');
    const { exitCode, stdout } = await node.run([executable], { input, env });
    expect(exitCode, stdout).toBe(0);
    expect(stdout.trim()).toBe(text);
  });
});

async function dial(from: LabPod, to: LabPod): Promise<readonly string[]> {
  const targets = to.addresses.map((address) => ({ address, port: 80, protocol: 'TCP' as const }));
  return (await from.probe.dial(targets)).map(({ outcome }) => outcome);
}

/** A generation is never used twice, and the agent's heartbeat and copies of manifests are no matter of a pod. */
function withoutGenerations(snapshot: Readonly<Record<string, string>>): unknown {
  const entries = Object.entries(snapshot).filter(([path]) => !/^(generation|manifests)\//.test(path));
  return entries.map(([path, text]) => [path, withoutOldGenerations(text).replaceAll(/0x[0-9a-f]+/g, 'MARK')]);
}

/** Returns the path of cnitool, built where Go is; `undefined` elsewhere, with a line that says so. */
async function installCnitool(): Promise<string | undefined> {
  const folder = resolve(import.meta.dirname, `../../.cache/${CNITOOL.split('/').at(-1)}`);
  const path = join(folder, 'cnitool');
  if (existsSync(path)) return path;
  const {
    failed,
    stderr: said,
    code,
  } = await execa('go', ['install', CNITOOL], { env: { GOBIN: folder }, reject: false });
  if (!failed) return path;
  const reason = code === 'ENOENT' ? 'Go is not installed' : said.trim().split('\n').at(-1);
  stderr.write(`Tests through cnitool are skipped: ${reason}\n`);
  return undefined;
}
