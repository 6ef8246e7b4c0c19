import { expect, test } from 'vitest';
import { decodeConfig, requireNone } from '../../src/cni/config.ts';
import { toCniError } from '../../src/cni/errors.ts';

const LEAST = { cniVersion: '1.0.0', name: 'pods', type: 'kube-nwplcy' };

function problemsOf(fields: Readonly<Record<string, unknown>>): readonly string[] {
  return decodeConfig(fields).problems.map(({ text }) => text);
}

test('a configuration has the documented defaults', () => {
  expect(decodeConfig(LEAST)).toEqual({
    config: {
      name: 'pods',
      runtimeDir: '/run/kube-nwplcy',
      backend: 'auto',
      whenAgentDown: 'deny',
      agentTimeoutMs: 2000,
      markMask: 0xffff0000,
      logLevel: 'info',
      logFile: undefined,
    },
    problems: [],
  });
});

test('every key is taken', () => {
  const keys = {
    runtimeDir: '/run/other',
    backend: 'iptables-legacy',
    whenAgentDown: 'allow',
    agentTimeoutMs: 0,
    markMask: '0xff00',
    logLevel: 'trace',
    logFile: '/var/log/kube-nwplcy.log',
  };
  expect(decodeConfig({ ...LEAST, ...keys })).toEqual({
    config: { name: 'pods', ...keys, markMask: 0xff00 },
    problems: [],
  });
  expect(decodeConfig({ ...LEAST, markMask: 0xff00 }).config.markMask).toBe(0xff00);
});

test.for(['auto', 'nftables', 'iptables-nft', 'iptables-legacy'])('the backend "%s" is taken', (backend) => {
  expect(decodeConfig({ ...LEAST, backend })).toMatchObject({ config: { backend }, problems: [] });
});

test('what a runtime puts in and what belongs to the network as a whole is no unknown key', () => {
  const standard = {
    cniVersions: ['1.0.0'],
    prevResult: {},
    runtimeConfig: { portMappings: [] },
    capabilities: { portMappings: true },
    args: {},
    ipMasq: true,
    ipam: {},
    dns: {},
    disableCheck: true,
    disableGC: true,
    loadOnlyInlinedPlugins: true,
    'cni.dev/valid-attachments': [],
    'cni.dev/attachments': [],
    'cni.dev/to-come': 1,
  };
  expect(problemsOf({ ...LEAST, ...standard })).toEqual([]);
});

test.for<{ readonly key: string; readonly value: unknown; readonly problem: string }>([
  { key: 'runtimedir', value: '/run', problem: '"runtimedir" is unknown' },
  { key: '__proto__', value: 1, problem: '"__proto__" is unknown' },
  { key: 'runtimeDir', value: 'run', problem: '"runtimeDir" must be an absolute path, not "run"' },
  { key: 'runtimeDir', value: '/a\0b', problem: '"runtimeDir" must be an absolute path, not "/a\\u0000b"' },
  { key: 'runtimeDir', value: null, problem: '"runtimeDir" must be an absolute path, not null' },
  { key: 'logFile', value: 5, problem: '"logFile" must be an absolute path, not 5' },
  {
    key: 'backend',
    value: 'nft',
    problem: '"backend" must be one of "auto", "nftables", "iptables-nft", "iptables-legacy", not "nft"',
  },
  { key: 'whenAgentDown', value: true, problem: '"whenAgentDown" must be one of "deny", "allow", not true' },
  {
    key: 'agentTimeoutMs',
    value: '2000',
    problem: '"agentTimeoutMs" must be a whole number of milliseconds from 0 to 60000, not "2000"',
  },
  {
    key: 'agentTimeoutMs',
    value: 1.5,
    problem: '"agentTimeoutMs" must be a whole number of milliseconds from 0 to 60000, not 1.5',
  },
  {
    key: 'agentTimeoutMs',
    value: -1,
    problem: '"agentTimeoutMs" must be a whole number of milliseconds from 0 to 60000, not -1',
  },
  {
    key: 'markMask',
    value: '0xff0ff000',
    problem: '"markMask" must be a mask of 8 to 31 neighbouring bits such as "0xffff0000", not "0xff0ff000"',
  },
  {
    key: 'logLevel',
    value: 'loud',
    problem: '"logLevel" must be one of "trace", "debug", "info", "warn", "error", "fatal", not "loud"',
  },
  {
    key: 'name',
    value: 'a/b',
    problem: '"name" must be a network name of letters, digits, "_", "." and "-", not "a/b"',
  },
  { key: 'type', value: 7, problem: '"type" must be a plugin\'s name, not 7' },
])('$key: $value is refused', ({ key, value, problem }) => {
  const fields = JSON.parse(JSON.stringify(LEAST)) as Record<string, unknown>;
  Object.defineProperty(fields, key, { value, enumerable: true });
  expect(problemsOf(fields)).toEqual([problem]);
});

test('all problems are told at once, with the keys to correct', () => {
  const { problems } = decodeConfig({ backend: 'x', agentTimeoutMs: 'y', foo: 1 });
  let told: unknown;
  try {
    requireNone(problems);
  } catch (error) {
    const { code, message, details } = toCniError(error);
    told = { code, message, details };
  }
  expect(told).toMatchInlineSnapshot(`
    {
      "code": 7,
      "details": "Correct "name", "type", "backend", "agentTimeoutMs", "foo" in the conflist; kube-nwplcy knows runtimeDir, backend, whenAgentDown, agentTimeoutMs, markMask, logLevel, logFile",
      "message": "Cannot use the network configuration: "name" is missing; "type" is missing; "backend" must be one of "auto", "nftables", "iptables-nft", "iptables-legacy", not "x"; "agentTimeoutMs" must be a whole number of milliseconds from 0 to 60000, not "y"; "foo" is unknown",
    }
  `);
});
