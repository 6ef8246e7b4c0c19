import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runPlugin, type PluginOutcome } from '../../src/cni/plugin.ts';

// What needs no kernel: every answer here is given before anything is touched.

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plugin-'));
});

afterAll(() => rmSync(scratch, { recursive: true }));

const ATTACHMENT = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0' };
const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/a' }],
  ips: [{ address: '10.1.0.5/24', interface: 0 }],
};

function call(
  command: string,
  stdin: string | object,
  env: Readonly<Record<string, string>> = ATTACHMENT,
): PluginOutcome {
  const text = typeof stdin === 'string' ? stdin : JSON.stringify(stdin);
  return runPlugin({ env: { CNI_COMMAND: command, ...env }, stdin: () => text });
}

function config(more: object = {}): Record<string, unknown> {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'kube-nwplcy',
    runtimeDir: join(scratch, 'run'),
    logFile: join(scratch, 'log'),
    ...more,
  };
}

function errorOf({ exitCode, stdout }: PluginOutcome): {
  cniVersion: string;
  code: number;
  msg: string;
  details: string;
} {
  expect(exitCode).toBe(1);
  return JSON.parse(stdout) as ReturnType<typeof errorOf>;
}

describe('VERSION', () => {
  const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

  test.for([...supportedVersions, '0.2.0'])("the caller's version %s comes back", (cniVersion) => {
    const { exitCode, stdout } = call('VERSION', { cniVersion }, {});
    expect({ exitCode, answer: JSON.parse(stdout) }).toEqual({
      exitCode: 0,
      answer: { cniVersion, supportedVersions },
    });
  });

  test.for(['', '{}', '{"cniVersion":5}', '{"cniVersion":"new\\nline"}'])(
    'without a version (%j) the newest answers',
    (stdin) => {
      expect(JSON.parse(call('VERSION', stdin, {}).stdout)).toEqual({ cniVersion: '1.1.0', supportedVersions });
    },
  );

  test('garbage is a decoding failure', () => {
    expect(errorOf(call('VERSION', 'garbage', {})).code).toBe(6);
  });
});

describe('errors', () => {
  test('have the shape of the spec, on stdout', () => {
    const outcome = call('ADD', config({ foo: 1 }));
    expect(outcome.stdout.endsWith('}\n')).toBe(true);
    expect(errorOf(outcome)).toEqual({
      cniVersion: '1.0.0',
      code: 7,
      msg: 'Cannot use the network configuration: "foo" is unknown',
      details: expect.stringMatching(/^Correct "foo" in the conflist/) as unknown,
    });
  });

  test.for(['0.3.1', '0.4.0', '1.0.0', '1.1.0'])("speak the configuration's version %s", (cniVersion) => {
    expect(errorOf(call('ADD', config({ cniVersion, foo: 1 }))).cniVersion).toBe(cniVersion);
    expect(errorOf(call('ADD', config({ cniVersion }), {}))).toMatchObject({ cniVersion, code: 4 });
  });

  test.for<{ readonly title: string; readonly run: () => PluginOutcome; readonly code: number }>([
    { title: 'an unknown command', run: () => call('UPDATE', config()), code: 4 },
    { title: 'a missing variable', run: () => call('ADD', config(), {}), code: 4 },
    { title: 'a missing variable and garbage', run: () => call('ADD', 'garbage', {}), code: 4 },
    { title: 'an empty stdin', run: () => call('ADD', ''), code: 6 },
    { title: 'garbage', run: () => call('DEL', '{"cniVersion":'), code: 6 },
    { title: 'JSON that is no object', run: () => call('ADD', '[]'), code: 6 },
    { title: 'nesting without end', run: () => call('ADD', '['.repeat(100_000)), code: 6 },
    { title: 'no version', run: () => call('ADD', config({ cniVersion: undefined })), code: 1 },
    { title: 'a version of before', run: () => call('ADD', config({ cniVersion: '0.2.0' })), code: 1 },
    { title: 'a version to come', run: () => call('DEL', config({ cniVersion: '2.0.0' })), code: 1 },
    { title: 'a version that is none', run: () => call('ADD', config({ cniVersion: 1 })), code: 1 },
    { title: 'CHECK before 0.4.0', run: () => call('CHECK', config({ cniVersion: '0.3.1' })), code: 1 },
    { title: 'GC before 1.1.0', run: () => call('GC', config(), {}), code: 1 },
    { title: 'STATUS before 1.1.0', run: () => call('STATUS', config(), {}), code: 1 },
    { title: 'ADD without a plugin before', run: () => call('ADD', config()), code: 7 },
    {
      title: 'bad CNI_ARGS',
      run: () => call('ADD', config({ prevResult: RESULT }), { ...ATTACHMENT, CNI_ARGS: 'x' }),
      code: 4,
    },
    { title: 'GC without its list', run: () => call('GC', config({ cniVersion: '1.1.0' }), {}), code: 7 },
  ])('$title: $code', ({ run, code }) => {
    expect(errorOf(run()).code).toBe(code);
  });

  test('stdin that cannot be read is an I/O failure', () => {
    const stdin = (): string => {
      throw new Error('EIO');
    };
    expect(errorOf(runPlugin({ env: { CNI_COMMAND: 'ADD', ...ATTACHMENT }, stdin })).code).toBe(5);
  });

  test('a version that is not spoken here is answered in the newest', () => {
    expect(errorOf(call('ADD', config({ cniVersion: '9.0.0' }))).cniVersion).toBe('1.1.0');
  });

  test("a pod without an address is told as the plugin before's doing", () => {
    const prevResult = { ...RESULT, ips: [] };
    const env = { ...ATTACHMENT, CNI_ARGS: 'K8S_POD_NAMESPACE=a;K8S_POD_NAME=b' };
    expect(errorOf(call('ADD', config({ prevResult }), env))).toEqual({
      cniVersion: '1.0.0',
      code: 7,
      msg: 'Cannot chain after a plugin that assigned no address',
      details: 'prevResult.ips must have an entry for "eth0": network "pods", container c1',
    });
  });
});

describe('a container that is no pod', () => {
  test('ADD passes the result on, touches nothing and logs one line', () => {
    const logFile = join(scratch, 'add.log');
    const { exitCode, stdout } = call('ADD', config({ prevResult: RESULT, logFile }));
    expect({ exitCode, result: JSON.parse(stdout) }).toEqual({ exitCode: 0, result: RESULT });
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'Nothing to hook in: CNI_ARGS names no pod',
    ]);
    expect(() => statSync(join(scratch, 'run'))).toThrow('ENOENT');
  });

  test('CHECK passes', () => {
    expect(call('CHECK', config({ prevResult: RESULT }))).toEqual({ exitCode: 0, stdout: '' });
  });
});

describe('DEL of what never was here', () => {
  test('succeeds, twice, without a result before or a namespace, and prints nothing', () => {
    const env = { CNI_CONTAINERID: 'gone', CNI_IFNAME: 'eth0', CNI_NETNS: '', CNI_ARGS: '-j ACCEPT' };
    for (const _ of [1, 2]) expect(call('DEL', config(), env)).toEqual({ exitCode: 0, stdout: '' });
  });

  test('forgives a configuration that ADD would refuse, but not where to look', () => {
    expect(call('DEL', config({ foo: 1, agentTimeoutMs: 'x', type: undefined })).exitCode).toBe(0);
    expect(errorOf(call('DEL', config({ runtimeDir: 'x' }))).code).toBe(7);
  });
});

describe('the log', () => {
  test('is one JSON line an event, for root only, with everything escaped', () => {
    const logFile = join(scratch, 'error.log');
    call('ADD', config({ logFile, prevResult: { ips: 'x\n{"level":"info"}' } }), { ...ATTACHMENT, CNI_ARGS: 'a\n=b' });
    const [line = '', ...more] = readFileSync(logFile, 'utf8').trimEnd().split('\n');
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({ level: 'error', command: 'ADD', code: 4 });
    expect(statSync(logFile).mode & 0o777).toBe(0o600);
  });

  test('that cannot be written fails no call', () => {
    writeFileSync(join(scratch, 'file'), '');
    const outcome = call('ADD', config({ prevResult: RESULT, logFile: join(scratch, 'file', 'x.log') }));
    expect(outcome.exitCode).toBe(0);
  });

  test('holds what its level asks for', () => {
    const logFile = join(scratch, 'quiet.log');
    call('ADD', config({ prevResult: RESULT, logFile, logLevel: 'warn' }));
    expect(() => statSync(logFile)).toThrow('ENOENT');
  });
});
