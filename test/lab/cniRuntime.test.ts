import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CniRuntime, type Attachment, type Conflist, type JsonObject } from './cniRuntime.ts';
import { writeFakePlugin } from './fakePlugin.ts';
import { runner } from './run.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cni-runtime-'));
  for (const type of ['first', 'second']) writeFakePlugin(directory, type);
});

afterEach(() => rmSync(directory, { recursive: true }));

const POD: Attachment = {
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/run/netns/c1',
  args: { IgnoreUnknown: '1', K8S_POD_NAMESPACE: 'shop', K8S_POD_NAME: 'web' },
};

function runtimeFor(cniVersion: string, { second = {}, ...list }: { second?: JsonObject } & Partial<Conflist> = {}) {
  const record = join(directory, 'record');
  const plugins = [
    { type: 'first', record },
    { type: 'second', record, ...second },
  ];
  return new CniRuntime({
    run: runner([], { PATH: '/usr/bin:/bin' }),
    path: ['/nowhere', directory],
    programPaths: { second: '/of/second' },
    cacheDirectory: join(directory, 'cache'),
    conflist: { name: 'net', cniVersion, plugins, ...list },
  });
}

interface Call {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly config: JsonObject & { readonly type: string };
}

function calls(): readonly Call[] {
  const file = join(directory, 'record');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  return lines.map((line) => JSON.parse(line) as Call);
}

function commands(): readonly string[] {
  return calls().map(({ command, config }) => `${command} ${config.type}`);
}

test('ADD runs the plugins in order, each with the result of the one before', async () => {
  const result = await runtimeFor('1.0.0').add(POD);
  expect(result).toEqual({ cniVersion: '1.0.0', passedBy: 'second' });
  const record = join(directory, 'record');
  expect(calls().map(({ config }) => config)).toEqual([
    { type: 'first', name: 'net', cniVersion: '1.0.0', record },
    {
      type: 'second',
      name: 'net',
      cniVersion: '1.0.0',
      record,
      prevResult: { cniVersion: '1.0.0', passedBy: 'first' },
    },
  ]);
});

test('the environment names the attachment', async () => {
  await runtimeFor('1.0.0').add(POD);
  expect(calls()[0]?.env).toEqual({
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/c1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web',
    CNI_PATH: `/nowhere:${directory}`,
    PATH: '/usr/bin:/bin',
  });
  expect(calls()[1]?.env['PATH']).toBe('/of/second');
});

test('only what a plugin declares as a capability reaches its runtimeConfig', async () => {
  const runtime = runtimeFor('1.0.0', { second: { capabilities: { ips: true, mac: true, bandwidth: false } } });
  await runtime.add({ ...POD, capabilityArgs: { ips: ['10.0.0.1/24'], bandwidth: {}, dns: {} } });
  expect(calls().map(({ config }) => config['runtimeConfig'])).toEqual([undefined, { ips: ['10.0.0.1/24'] }]);
});

test('DEL runs the plugins in reverse, each with the result of the whole chain, and a second DEL has none', async () => {
  const runtime = runtimeFor('1.0.0');
  await runtime.add(POD);
  await runtime.del(POD);
  await runtime.del({ ...POD, netns: '' });
  const result = { cniVersion: '1.0.0', passedBy: 'second' };
  expect(
    calls()
      .slice(2)
      .map(({ command, env, config }) => [command, config.type, config['prevResult'], env['CNI_NETNS']]),
  ).toEqual([
    ['DEL', 'second', result, POD.netns],
    ['DEL', 'first', result, POD.netns],
    ['DEL', 'second', undefined, ''],
    ['DEL', 'first', undefined, ''],
  ]);
});

test('DEL has no prevResult with version 0.3.1, and CHECK does not exist there', async () => {
  const runtime = runtimeFor('0.3.1');
  await runtime.add(POD);
  await expect(runtime.check(POD)).rejects.toThrow('Cannot check: version 0.3.1 has no CHECK');
  await runtime.del(POD);
  expect(
    calls()
      .slice(2)
      .map(({ command, config }) => [command, config['prevResult']]),
  ).toEqual([
    ['DEL', undefined],
    ['DEL', undefined],
  ]);
});

test('a failed ADD is followed by a DEL without prevResult, and says what the plugin said', async () => {
  const failing = runtimeFor('1.0.0', { second: { failOn: ['ADD'] } }).add(POD);
  await expect(failing).rejects.toMatchObject({
    name: 'CniFailure',
    message: 'second failed ADD: second was told to fail',
    command: 'ADD',
    plugin: 'second',
    code: 11,
    details: 'as told',
  });
  expect(calls().map(({ command, config }) => [command, config.type, 'prevResult' in config])).toEqual([
    ['ADD', 'first', false],
    ['ADD', 'second', true],
    ['DEL', 'second', false],
    ['DEL', 'first', false],
  ]);
});

test('CHECK runs the plugins in order, each with the result of the whole chain', async () => {
  const runtime = runtimeFor('0.4.0');
  await runtime.add(POD);
  await runtime.check(POD);
  const result = { cniVersion: '0.4.0', passedBy: 'second' };
  expect(
    calls()
      .slice(2)
      .map(({ command, config }) => [command, config.type, config['prevResult']]),
  ).toEqual([
    ['CHECK', 'first', result],
    ['CHECK', 'second', result],
  ]);
});

test('CHECK with disableCheck calls nobody', async () => {
  await runtimeFor('1.0.0', { disableCheck: true }).check(POD);
  expect(commands()).toEqual([]);
});

test('GC deletes what is not valid, then tells the plugins what is', async () => {
  const runtime = runtimeFor('1.1.0');
  await runtime.add(POD);
  await runtime.add({ ...POD, containerId: 'c2' });
  await runtime.gc([POD]);
  const collected = calls().slice(4);
  expect(collected.map(({ command, config, env }) => [command, config.type, env['CNI_CONTAINERID']])).toEqual([
    ['DEL', 'second', 'c2'],
    ['DEL', 'first', 'c2'],
    ['GC', 'first', ''],
    ['GC', 'second', ''],
  ]);
  expect(collected.slice(2).map(({ config }) => config['cni.dev/valid-attachments'])).toEqual([
    [{ containerID: 'c1', ifname: 'eth0' }],
    [{ containerID: 'c1', ifname: 'eth0' }],
  ]);
});

test('GC goes on past a plugin that fails', async () => {
  const runtime = runtimeFor('1.1.0', { second: { failOn: ['DEL', 'GC'] } });
  await runtime.add(POD);
  await expect(runtime.gc([])).rejects.toMatchObject({ errors: [{ command: 'DEL' }, { command: 'GC' }] });
  expect(commands().slice(2)).toEqual(['DEL second', 'GC first', 'GC second']);
});

test('GC and STATUS reach plugins from version 1.1.0 on', async () => {
  await runtimeFor('1.0.0').gc([]);
  await runtimeFor('1.0.0').status();
  expect(commands()).toEqual([]);
  await runtimeFor('1.1.0').status();
  expect(commands()).toEqual(['STATUS first', 'STATUS second']);
  await expect(runtimeFor('1.1.0', { second: { failOn: ['STATUS'] } }).status()).rejects.toMatchObject({ code: 11 });
});

test('VERSION returns what the plugin supports', async () => {
  expect(await runtimeFor('1.0.0').version('first')).toEqual(['0.4.0', '1.0.0']);
});

test('a plugin that is nowhere is named', async () => {
  await expect(runtimeFor('1.0.0').version('third')).rejects.toThrow(
    `Cannot find plugin "third": it is not in /nowhere, ${directory}`,
  );
});
