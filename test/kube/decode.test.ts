import * as fc from 'fast-check';
import { describe, test } from 'vitest';
import { decodeObjects } from '../../src/kube/decode.ts';
import { DecodeError, MOST_PROBLEMS } from '../../src/kube/decodeError.ts';
import { problemsOf } from '../helpers/decodeProblems.ts';

const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } };

describe('kinds', () => {
  test('a namespace has its name as a label, whatever the manifest says', ({ expect }) => {
    const labels = { team: 'red', 'kubernetes.io/metadata.name': 'forged' };
    expect(decodeObjects({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } })).toEqual([
      {
        kind: 'Namespace',
        name: 'shop',
        labels: new Map([
          ['team', 'red'],
          ['kubernetes.io/metadata.name', 'shop'],
        ]),
      },
    ]);
  });

  test('other kinds are nothing', ({ expect }) => {
    expect(decodeObjects({ apiVersion: 'v1', kind: 'Service' })).toEqual([]);
    expect(decodeObjects({ apiVersion: 'v1', kind: 'ServiceList', items: [POD] })).toEqual([]);
    expect(decodeObjects({ apiVersion: 'example.org/v3', kind: 'NetworkPolicy', spec: { foo: 1 } })).toEqual([]);
  });

  test('a list is its items', ({ expect }) => {
    const items = [POD, { kind: 'Service' }, { ...POD, metadata: { name: 'b' } }];
    expect(decodeObjects({ apiVersion: 'v1', kind: 'List', items })).toMatchObject([{ name: 'a' }, { name: 'b' }]);
    expect(decodeObjects({ apiVersion: 'v1', kind: 'List', items: null })).toEqual([]);
  });

  test('items of a typed list need not say their kind', ({ expect }) => {
    const items = [{ metadata: { name: 'a' } }];
    expect(decodeObjects({ kind: 'PodList', items })).toMatchObject([{ kind: 'Pod', name: 'a' }]);
    expect(decodeObjects({ kind: 'NamespaceList', items })).toMatchObject([{ kind: 'Namespace', name: 'a' }]);
    expect(decodeObjects({ kind: 'NetworkPolicyList', items })).toMatchObject([{ kind: 'NetworkPolicy', name: 'a' }]);
  });

  test.for([
    { value: {}, problem: 'kind: Missing kind: every Kubernetes object has one' },
    { value: { kind: 'networkpolicy' }, problem: 'kind: Cannot use "networkpolicy": write "NetworkPolicy"' },
    { value: { kind: 'Pod' }, problem: 'apiVersion: Cannot use "": must be "v1"' },
    {
      value: { apiVersion: 'networking.k8s.io/v1beta1', kind: 'NetworkPolicy' },
      problem:
        'apiVersion: Cannot use "networking.k8s.io/v1beta1": must be "networking.k8s.io/v1" or "extensions/v1beta1"',
    },
    {
      value: { apiVersion: 'v1', kind: 'NetworkPolicy' },
      problem: 'apiVersion: Cannot use "v1": must be "networking.k8s.io/v1" or "extensions/v1beta1"',
    },
    {
      value: { kind: 'List', items: [{ kind: 'List' }] },
      problem: 'items[0].kind: Cannot use "List": a list cannot hold a list',
    },
    { value: { kind: 'List', items: {} }, problem: 'items: Cannot use an object: must be a list' },
    {
      value: { kind: 'PodList', items: [POD, { metadata: {} }] },
      problem: 'items[1].metadata.name: Missing name: every object has one',
    },
    { value: [], problem: 'Cannot use a list: must be an object' },
    { value: 'text', problem: 'Cannot use "text": must be an object' },
  ])('$problem', ({ value, problem }, { expect }) => {
    expect(problemsOf(value)[0]).toBe(problem);
  });
});

describe('hostile values', () => {
  test('a list that holds itself is refused', ({ expect }) => {
    const items: unknown[] = [];
    const list = { apiVersion: 'v1', kind: 'List', items };
    items.push(list);
    expect(problemsOf(list)).toEqual(['items[0].kind: Cannot use "List": a list cannot hold a list']);
  });

  test('inherited properties are no fields', ({ expect }) => {
    const value: unknown = JSON.parse('{"__proto__": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}}');
    expect(problemsOf(value)).toEqual(['kind: Missing kind: every Kubernetes object has one']);
    expect(problemsOf({ kind: 'constructor' })).toEqual([]);
  });

  test('names cannot break out of the message', ({ expect }) => {
    const spec = { 'a\n\u001B[31m': 1 };
    expect(
      problemsOf({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'a' }, spec }),
    ).toEqual([
      String.raw`spec["a\n\u001b[31m"]: Unknown field "a\n\u001b[31m": expected "podSelector", "policyTypes", "ingress", "egress"`,
    ]);
  });

  test('ten thousand problems are told by a hundred', ({ expect }) => {
    expect(problemsOf({ kind: 'PodList', items: Array.from({ length: 10_000 }) })).toHaveLength(MOST_PROBLEMS);
  });

  test('whatever comes, objects or a DecodeError', ({ expect }) => {
    const part = fc.oneof({ depthSize: 'small' }, fc.jsonValue(), fc.constantFrom(...FRAGMENTS));
    const object = (keys: readonly string[]) => fc.dictionary(fc.constantFrom(...keys), part);
    const metadata = object(['name', 'namespace', 'labels', 'annotations', 'uid']);
    const rule = object(['from', 'to', 'ports']);
    const spec = fc.record(
      { podSelector: part, policyTypes: part, ingress: fc.array(rule), egress: fc.array(rule) },
      { requiredKeys: [] },
    );
    const whole = fc.record(
      {
        apiVersion: fc.constantFrom('v1', 'networking.k8s.io/v1', 'extensions/v1beta1'),
        kind: fc.constantFrom('Pod', 'Namespace', 'NetworkPolicy', 'List', 'PodList'),
        metadata: fc.oneof(metadata, part),
        spec: fc.oneof(spec, object(['nodeName', 'hostNetwork', 'containers', 'initContainers']), part),
        status: fc.oneof(object(['podIP', 'podIPs', 'phase']), part),
        items: fc.array(part),
      },
      { requiredKeys: ['apiVersion', 'kind'] },
    );
    fc.assert(
      fc.property(fc.oneof(whole, fc.jsonValue(), fc.anything()), (value) => {
        expect(outcome(value)).toBeOneOf(['objects', DecodeError.name]);
      }),
      { numRuns: 2000 },
    );
  });
});

const FRAGMENTS: readonly unknown[] = [
  null,
  'a',
  80,
  Number.NaN,
  [{}],
  [null],
  { name: 'a' },
  { matchLabels: { a: 'b' } },
  [{ podSelector: {} }],
  [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/9'] } }],
  [{ port: 80, endPort: 90 }],
  [{ ports: [{ name: 'http', containerPort: 80 }] }],
  [{ ip: 'fd00::1' }],
];

function outcome(value: unknown): string {
  try {
    decodeObjects(value);
    return 'objects';
  } catch (error) {
    return error instanceof Error ? error.name : 'something else';
  }
}
