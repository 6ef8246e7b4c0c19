import { describe, test } from 'vitest';
import { decodeObjects } from '../../src/kube/decode.ts';
import type { Pod } from '../../src/kube/pod.ts';
import { problemsOf } from '../helpers/decodeProblems.ts';

interface PodParts {
  readonly metadata?: object;
  readonly spec?: unknown;
  readonly status?: unknown;
}

function manifest({ metadata = {}, spec, status }: PodParts): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', ...metadata }, spec, status };
}

function decode(parts: PodParts): Pod {
  const [object] = decodeObjects(manifest(parts));
  if (object?.kind !== 'Pod') throw new Error('no pod');
  return object;
}

test('a pod of which nothing is said runs, in namespace default, without an address', ({ expect }) => {
  expect(decode({})).toEqual({
    kind: 'Pod',
    namespace: 'default',
    name: 'web',
    uid: undefined,
    staticPodHash: undefined,
    labels: new Map(),
    nodeName: undefined,
    hostNetwork: false,
    phase: 'Running',
    addresses: [],
    namedPorts: [],
    unnamedPorts: [],
  });
});

test('fields that no policy looks at may hold anything', ({ expect }) => {
  const spec = { nodeName: 'node-1', hostNetwork: true, containers: [{ image: 1, command: {} }], volumes: 'x', foo: 1 };
  const metadata = { namespace: 'shop', uid: 'u-1', labels: { app: 'web' }, ownerReferences: 7 };
  expect(decode({ metadata, spec, status: { phase: 'Failed', hostIP: 'x' } })).toMatchObject({
    namespace: 'shop',
    uid: 'u-1',
    labels: new Map([['app', 'web']]),
    nodeName: 'node-1',
    hostNetwork: true,
    phase: 'Failed',
  });
});

describe('addresses', () => {
  test.for([
    {
      status: { podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00::1' }], podIP: '10.0.0.9' },
      addresses: ['10.0.0.1', 'fd00::1'],
    },
    { status: { podIPs: [], podIP: '10.0.0.9' }, addresses: ['10.0.0.9'] },
    { status: { podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.1' }] }, addresses: ['10.0.0.1'] },
    { status: { podIP: '' }, addresses: [] },
  ])('of $status', ({ status, addresses }, { expect }) => {
    expect(decode({ status }).addresses).toEqual(addresses);
  });

  test.for([
    { status: { podIPs: [{ ip: '10.0.0.01' }] }, path: 'status.podIPs[0].ip' },
    { status: { podIPs: [{}] }, path: 'status.podIPs[0].ip' },
    { status: { podIPs: ['10.0.0.1'] }, path: 'status.podIPs[0]' },
    { status: { podIP: '10.0.0.1/32' }, path: 'status.podIP' },
    { status: { podIP: '0.0.0.0' }, path: 'status.podIP' },
    { status: { podIP: '0::0' }, path: 'status.podIP' },
  ])('a bad one is a problem: $status', ({ status, path }, { expect }) => {
    expect(problemsOf(manifest({ status }))[0]).toMatch(new RegExp(`^${RegExp.escape(path)}: `));
  });
});

test('named ports are those of containers and of init containers that keep running', ({ expect }) => {
  const spec = {
    initContainers: [
      { restartPolicy: 'Always', ports: [{ name: 'proxy', containerPort: 15_001 }] },
      { ports: [{ name: 'setup', containerPort: 1 }] },
    ],
    containers: [
      { ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 9 }] },
      {
        ports: [
          { name: 'dns', protocol: 'UDP', containerPort: 53 },
          { name: 'http', protocol: '', containerPort: 81 },
        ],
      },
    ],
  };
  expect(decode({ spec }).namedPorts).toEqual([
    { name: 'http', protocol: 'TCP', port: 8080 },
    { name: 'dns', protocol: 'UDP', port: 53 },
    { name: 'http', protocol: 'TCP', port: 81 },
    { name: 'proxy', protocol: 'TCP', port: 15_001 },
  ]);
});

test('ports without a name are kept apart, and replicas share both lists', ({ expect }) => {
  const spec = { containers: [{ ports: [{ containerPort: 9 }, { name: 'http', containerPort: 80 }] }] };
  const [one, other] = [decode({ spec }), decode({ spec: structuredClone(spec) })];
  expect(one.unnamedPorts).toEqual([{ protocol: 'TCP', port: 9 }]);
  expect(one.namedPorts).toEqual([{ name: 'http', protocol: 'TCP', port: 80 }]);
  expect([other.unnamedPorts === one.unnamedPorts, other.namedPorts === one.namedPorts]).toEqual([true, true]);
});

test('a refused port name does not become the ports of a pod that has them', ({ expect }) => {
  const [bad, good] = ['{"name":"x","protocol":"TCP","port":7},{"name":"y', 'y'];
  const ports = (name: string) => [{ name: 'x', containerPort: 7 }].concat({ name, containerPort: 8 });
  expect(problemsOf(manifest({ spec: { containers: [{ ports: ports(bad).slice(1) }] } }))).toHaveLength(1);
  expect(
    problemsOf(manifest({ spec: { containers: [{ ports: [{ name: 'x:TCP:7,y', containerPort: 8 }] }] } })),
  ).toHaveLength(1);
  expect(decode({ spec: { containers: [{ ports: ports(good) }] } }).namedPorts.map(({ name }) => name)).toEqual([
    'x',
    'y',
  ]);
});

test('a bad port is a problem', ({ expect }) => {
  const ports = [
    { containerPort: '80' },
    {},
    { name: 'a--b', containerPort: 80 },
    { protocol: 'x', containerPort: 80 },
  ];
  expect(problemsOf(manifest({ spec: { containers: [{ ports }] } }))).toEqual([
    'spec.containers[0].ports[0].containerPort: Cannot use "80": a port is a number from 1 to 65535',
    'spec.containers[0].ports[1].containerPort: Cannot use nothing: a port is a number from 1 to 65535',
    'spec.containers[0].ports[2].name: Cannot use "a--b": a port name is at most 15 lower-case letters, digits and single "-", with a letter among them',
    'spec.containers[0].ports[3].protocol: Cannot use "x": must be "TCP", "UDP" or "SCTP"',
  ]);
});

test('a config hash is that of a static pod only on its mirror', ({ expect }) => {
  const hash = { 'kubernetes.io/config.hash': 'abc' };
  const mirror = { ...hash, 'kubernetes.io/config.mirror': 'abc' };
  expect(decode({ metadata: { annotations: hash } }).staticPodHash).toBeUndefined();
  expect(decode({ metadata: { annotations: mirror } }).staticPodHash).toBe('abc');
});

test('a phase, node or network that cannot be is a problem', ({ expect }) => {
  const parts = { spec: { nodeName: '../x', hostNetwork: 'yes' }, status: { phase: 'running' } };
  expect(problemsOf(manifest(parts)).map((problem) => problem.split(':')[0])).toEqual([
    'spec.nodeName',
    'spec.hostNetwork',
    'status.phase',
  ]);
});

test('replicas share what they have alike, and a pod that was refused leaves nothing to a good one', ({ expect }) => {
  const parts = {
    metadata: { labels: { app: 'web' } },
    spec: { containers: [{ ports: [{ name: 'http', containerPort: 80 }] }] },
  };
  const [one, other] = [decode(parts), decode(parts)];
  expect(other.labels).toBe(one.labels);
  expect(other.namedPorts).toBe(one.namedPorts);
  expect(other.addresses).toBe(one.addresses);
  const refused = { metadata: { labels: { 'a","b': 'c' } } };
  expect(() => decode(refused)).toThrow('Cannot use key');
  expect(decode({ metadata: { labels: { a: 'b' } } }).labels).toEqual(new Map([['a', 'b']]));
});
