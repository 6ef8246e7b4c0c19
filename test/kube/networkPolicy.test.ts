import { describe, test } from 'vitest';
import { decodeObjects } from '../../src/kube/decode.ts';
import type { NetworkPolicy } from '../../src/kube/networkPolicy.ts';
import { problemsOf } from '../helpers/decodeProblems.ts';

const EMPTY_SELECTOR = { matchLabels: new Map(), matchExpressions: [] };

function decode(spec: unknown, apiVersion = 'networking.k8s.io/v1'): NetworkPolicy {
  const [object] = decodeObjects({ apiVersion, kind: 'NetworkPolicy', metadata: { name: 'p' }, spec });
  if (object?.kind !== 'NetworkPolicy') throw new Error('no policy');
  return object;
}

function problems(spec: unknown): readonly string[] {
  return problemsOf({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p' }, spec });
}

describe('what is missing and what is empty', () => {
  test('a policy without a spec isolates all pods of its namespace for ingress', ({ expect }) => {
    for (const spec of [undefined, null, {}, { podSelector: null }, { podSelector: {}, ingress: [] }]) {
      expect(decode(spec)).toEqual({
        kind: 'NetworkPolicy',
        namespace: 'default',
        name: 'p',
        podSelector: EMPTY_SELECTOR,
        ingress: [],
        egress: undefined,
      });
    }
  });

  test('an empty rule allows everything', ({ expect }) => {
    for (const rule of [{}, null, { from: [], ports: [] }, { from: null, ports: null }]) {
      expect(decode({ ingress: [rule] }).ingress).toEqual([{ peers: 'any', ports: 'any' }]);
    }
  });

  test('an empty namespaceSelector is all namespaces, none is the own one', ({ expect }) => {
    const from = [{ namespaceSelector: {}, podSelector: null }, { podSelector: {} }];
    expect(decode({ ingress: [{ from }] }).ingress).toEqual([
      {
        peers: [
          { kind: 'pods', namespaceSelector: EMPTY_SELECTOR, podSelector: undefined },
          { kind: 'pods', namespaceSelector: undefined, podSelector: EMPTY_SELECTOR },
        ],
        ports: 'any',
      },
    ]);
  });
});

describe('policyTypes', () => {
  test.for([
    { spec: {}, isolates: ['ingress'] },
    { spec: { policyTypes: [] }, isolates: ['ingress'] },
    { spec: { policyTypes: null, egress: [] }, isolates: ['ingress'] },
    { spec: { egress: [{}] }, isolates: ['ingress', 'egress'] },
    { spec: { policyTypes: ['Egress'] }, isolates: ['egress'] },
    { spec: { policyTypes: ['Ingress'], egress: [{}] }, isolates: ['ingress'] },
    { spec: { policyTypes: ['Egress', 'Ingress'] }, isolates: ['ingress', 'egress'] },
    { spec: { policyTypes: ['Egress', 'Egress'] }, isolates: ['egress'] },
  ])('$spec isolates for $isolates', ({ spec, isolates }, { expect }) => {
    const { ingress, egress } = decode(spec);
    const found = [...(ingress === undefined ? [] : ['ingress']), ...(egress === undefined ? [] : ['egress'])];
    expect(found).toEqual(isolates);
  });

  test('are Ingress and Egress, at most two', ({ expect }) => {
    expect(problems({ policyTypes: ['ingress', null] })).toEqual([
      'spec.policyTypes[0]: Cannot use "ingress": must be "Ingress" or "Egress"',
      'spec.policyTypes[1]: Cannot use nothing: must be "Ingress" or "Egress"',
    ]);
    expect(problems({ policyTypes: ['Ingress', 'Egress', 'Ingress'] })).toEqual([
      'spec.policyTypes: Cannot use more than two policyTypes',
    ]);
  });
});

describe('ports', () => {
  test.for([
    { port: {}, is: { kind: 'protocol', protocol: 'TCP' } },
    { port: null, is: { kind: 'protocol', protocol: 'TCP' } },
    { port: { protocol: 'SCTP', port: null }, is: { kind: 'protocol', protocol: 'SCTP' } },
    { port: { port: 80 }, is: { kind: 'range', protocol: 'TCP', from: 80, to: 80 } },
    { port: { protocol: 'udp', port: 80, endPort: 80 }, is: { kind: 'range', protocol: 'UDP', from: 80, to: 80 } },
    { port: { port: 1, endPort: 65_535 }, is: { kind: 'range', protocol: 'TCP', from: 1, to: 65_535 } },
    { port: { protocol: 'Udp', port: 'dns' }, is: { kind: 'named', protocol: 'UDP', name: 'dns' } },
  ])('$port is $is', ({ port, is }, { expect }) => {
    expect(decode({ ingress: [{ ports: [port] }] }).ingress?.[0]?.ports).toEqual([is]);
  });

  test.for([
    { port: { port: '80' }, problem: 'port: Cannot use "80": write a port number without quotes' },
    { port: { port: 0 }, problem: 'port: Cannot use 0: a port is a number from 1 to 65535' },
    { port: { port: 1e300 }, problem: 'port: Cannot use 1e+300: a port is a number from 1 to 65535' },
    { port: { port: Number.NaN }, problem: 'port: Cannot use NaN: a port is a number from 1 to 65535' },
    { port: { port: true }, problem: 'port: Cannot use true: must be a string, write "true"' },
    { port: { port: 80, endPort: 79 }, problem: 'endPort: Cannot use 79: must not be less than port 80' },
    { port: { port: 80, endPort: '81' }, problem: 'endPort: Cannot use "81": a port is a number from 1 to 65535' },
    { port: { port: 'http', endPort: 80 }, problem: 'endPort: Cannot use endPort: port must be a number' },
    { port: { endPort: 80 }, problem: 'endPort: Cannot use endPort: port must be a number' },
    { port: { protocol: 'ICMP' }, problem: 'protocol: Cannot use "ICMP": must be "TCP", "UDP" or "SCTP"' },
    { port: { protocol: '' }, problem: 'protocol: Cannot use "": must be "TCP", "UDP" or "SCTP"' },
  ])('$port is refused', ({ port, problem }, { expect }) => {
    expect(problems({ egress: [{ ports: [port] }] })[0]).toBe(`spec.egress[0].ports[0].${problem}`);
  });
});

describe('ipBlock', () => {
  test('has its networks in canonical text', ({ expect }) => {
    const ipBlock = { cidr: '10.1.2.3/8', except: ['10.2.3.4/16', '10.9.9.9/32'] };
    expect(decode({ egress: [{ to: [{ ipBlock }] }] }).egress?.[0]?.peers).toEqual([
      {
        kind: 'ipBlock',
        cidr: { text: '10.0.0.0/8', family: 'ipv4' },
        except: [
          { text: '10.2.0.0/16', family: 'ipv4' },
          { text: '10.9.9.9/32', family: 'ipv4' },
        ],
      },
    ]);
  });

  test('has exceptions strictly within its network', ({ expect }) => {
    const ipBlock = { cidr: '10.0.0.0/8', except: ['10.0.0.0/8', '11.0.0.0/16', '10.0.0.0/7', '::/64'] };
    const within = 'must be a smaller network within cidr "10.0.0.0/8"';
    expect(problems({ ingress: [{ from: [{ ipBlock }] }] })).toEqual([
      `spec.ingress[0].from[0].ipBlock.except[0]: Cannot use "10.0.0.0/8": ${within}`,
      `spec.ingress[0].from[0].ipBlock.except[1]: Cannot use "11.0.0.0/16": ${within}`,
      `spec.ingress[0].from[0].ipBlock.except[2]: Cannot use "10.0.0.0/7": ${within}`,
      `spec.ingress[0].from[0].ipBlock.except[3]: Cannot use "::/64": ${within}`,
    ]);
  });

  test('has a network', ({ expect }) => {
    const peers = [{ ipBlock: {} }, { ipBlock: { cidr: '10.0.0.1' } }, { ipBlock: { cidr: 10 } }];
    expect(problems({ ingress: [{ from: peers }] })).toEqual([
      'spec.ingress[0].from[0].ipBlock.cidr: Cannot use "": a network needs a prefix length, e.g. "10.0.0.0/24"',
      'spec.ingress[0].from[1].ipBlock.cidr: Cannot use "10.0.0.1": a network needs a prefix length, e.g. "10.0.0.0/24"',
      'spec.ingress[0].from[2].ipBlock.cidr: Cannot use 10: must be a string, write "10"',
      'spec.ingress[0].from[2].ipBlock.cidr: Cannot use "": a network needs a prefix length, e.g. "10.0.0.0/24"',
    ]);
  });
});

test('a peer is one of ipBlock and selectors', ({ expect }) => {
  const from = [{}, null, { ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }];
  expect(problems({ ingress: [{ from }] })).toEqual([
    'spec.ingress[0].from[0]: Missing peer: needs "podSelector", "namespaceSelector" or "ipBlock"',
    'spec.ingress[0].from[1]: Missing peer: needs "podSelector", "namespaceSelector" or "ipBlock"',
    'spec.ingress[0].from[2]: Cannot use ipBlock together with a selector: write two elements',
  ]);
});

describe('a field where none belongs is a problem', () => {
  const inElement = 'it belongs in an element of';
  const check = 'check the indentation';
  test.for([
    {
      spec: { ports: [] },
      problem: `spec.ports: Unknown field "ports": ${inElement} "ingress" or "egress", beside "from" or "to"; ${check}`,
    },
    {
      spec: { ingress: [{ policyTypes: [] }] },
      problem: `spec.ingress[0].policyTypes: Unknown field "policyTypes": it belongs directly in "spec"; ${check}`,
    },
    {
      spec: { ingress: [{ to: [] }] },
      problem: `spec.ingress[0].to: Unknown field "to": ${inElement} "egress"; ${check}`,
    },
    {
      spec: { egress: [{ from: [] }] },
      problem: `spec.egress[0].from: Unknown field "from": ${inElement} "ingress"; ${check}`,
    },
    {
      spec: { ingress: [{ from: [{ podSelector: {}, ports: [] }] }] },
      problem: `spec.ingress[0].from[0].ports: Unknown field "ports": ${inElement} "ingress" or "egress", beside "from" or "to"; ${check}`,
    },
    {
      spec: { ingress: [{ from: [{ podSelector: { app: 'a' } }] }] },
      problem:
        'spec.ingress[0].from[0].podSelector.app: Unknown field "app": expected "matchLabels", "matchExpressions"',
    },
    {
      spec: { ingress: [{ ports: [{ number: 80 }] }] },
      problem: 'spec.ingress[0].ports[0].number: Unknown field "number": expected "protocol", "port", "endPort"',
    },
    {
      spec: { podselector: {} },
      problem:
        'spec.podselector: Unknown field "podselector": expected "podSelector", "policyTypes", "ingress", "egress"',
    },
  ])('$problem', ({ spec, problem }, { expect }) => {
    expect(problems(spec)).toEqual([problem]);
  });

  test('beside spec, too', ({ expect }) => {
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p' },
      ingress: [{}],
    };
    expect(problemsOf(policy)).toEqual([`ingress: Unknown field "ingress": it belongs directly in "spec"; ${check}`]);
  });

  test('but not in metadata and status, which policies do not hang on', ({ expect }) => {
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p', managedFields: [], generation: 1 },
      status: { conditions: [] },
    };
    expect(decodeObjects(policy)).toHaveLength(1);
  });
});

test('all problems of a policy are told together', ({ expect }) => {
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'Not_A_Name', namespace: 'a.b', labels: { ok: 1 } },
    spec: { podSelector: [], ingress: {}, egress: 'x' },
  };
  expect(problemsOf(policy)).toEqual([
    'metadata.name: Cannot use "Not_A_Name": must be at most 253 lower-case letters, digits, "-" and ".", and each part between dots start and end with a letter or digit',
    'metadata.namespace: Cannot use "a.b": must be at most 63 lower-case letters, digits and "-", and start and end with a letter or digit',
    'metadata.labels.ok: Cannot use 1: must be a string, write "1"',
    'spec.podSelector: Cannot use a list: must be an object',
    'spec.ingress: Cannot use an object: must be a list',
    'spec.egress: Cannot use "x": must be a list',
  ]);
});

test('extensions/v1beta1 has the same fields and defaults', ({ expect }) => {
  const spec = { podSelector: { matchLabels: { role: 'db' } }, egress: [{ ports: [{ port: 80, protocol: 'tcp' }] }] };
  expect(decode(spec, 'extensions/v1beta1')).toEqual(decode(spec));
});

test('a policy of 10,000 rules keeps them all', ({ expect }) => {
  const ingress = Array.from({ length: 10_000 }, (_, index) => ({
    from: [{ ipBlock: { cidr: `10.${index >> 8}.${index & 255}.0/24` } }],
    ports: [{ port: index + 1 }],
  }));
  expect(decode({ ingress }).ingress).toHaveLength(10_000);
});
