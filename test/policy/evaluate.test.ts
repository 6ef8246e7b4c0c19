import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/policy/evaluate.ts';
import { flowOf } from '../helpers/flowText.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

// The namespace ops carries a label that pods carry too, and "orphan" has no Namespace object. Two finished pods: one keeps an address of its
// own, the other's address is shop/db's by now.
const world: readonly Manifest[] = [
  namespace('shop', { team: 'sales' }),
  namespace('ops', { team: 'ops', app: 'web' }),
  namespace('lab'),
  pod('shop/web', {
    labels: { app: 'web', tier: '' },
    addresses: ['10.244.1.10', 'fd00:10:244:1::10'],
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'http', protocol: 'UDP', containerPort: 8443 },
      { name: 'dns', protocol: 'UDP', containerPort: 53 },
    ],
  }),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.244.1.11'], ports: [{ name: 'http', containerPort: 9090 }] }),
  pod('shop/cli', {
    labels: { app: 'cli', tier: 'front' },
    addresses: ['10.244.2.12', 'fd00:10:244:2::12'],
    nodeName: 'node-2',
  }),
  pod('shop/done', {
    labels: { app: 'web' },
    addresses: ['10.244.1.40'],
    phase: 'Succeeded',
    ports: [{ name: 'http', containerPort: 80 }],
  }),
  pod('shop/failed', { labels: { app: 'old' }, addresses: ['10.244.1.11'], phase: 'Failed' }),
  pod('ops/web', { labels: { app: 'web', tier: 'front' }, addresses: ['10.244.2.20'], nodeName: 'node-2' }),
  pod('ops/prom', { labels: { app: 'prom' }, addresses: ['10.244.1.21'] }),
  pod('ops/host1', {
    labels: { app: 'host' },
    addresses: ['192.168.0.1'],
    hostNetwork: true,
    ports: [{ name: 'http', containerPort: 80 }],
  }),
  pod('ops/host2', { labels: { app: 'host' }, addresses: ['192.168.0.2'], hostNetwork: true, nodeName: 'node-2' }),
  pod('lab/x', { addresses: ['10.244.2.30'], nodeName: 'node-2' }),
  pod('orphan/o', { labels: { app: 'cli' }, addresses: ['10.244.2.50'], nodeName: 'node-2' }),
];

interface Case {
  readonly rule: string;
  readonly policies: Readonly<Record<string, Manifest>>;
  readonly allowed?: readonly string[];
  readonly refused?: readonly string[];
}

const all = { podSelector: {} };
const web = { podSelector: { matchLabels: { app: 'web' } } };
const out = { policyTypes: ['Egress'] };
const podsWith = (...matchExpressions: Manifest[]) => ({ podSelector: { matchExpressions } });
const namespacesWith = (...matchExpressions: Manifest[]) => ({ namespaceSelector: { matchExpressions } });

const tables: Readonly<Record<string, readonly Case[]>> = {
  'which pods are isolated': [
    {
      rule: 'no policy, no isolation',
      policies: {},
      allowed: ['lab/x > shop/web TCP/1', 'shop/web > 1.1.1.1 UDP/53', '1.1.1.1 > shop/web SCTP/7'],
    },
    {
      rule: 'a policy isolates the pods that its podSelector matches, in its own namespace only',
      policies: { 'shop/p': web },
      allowed: ['shop/cli > shop/db TCP/80', 'shop/cli > ops/web TCP/80'],
      refused: ['shop/cli > shop/web TCP/80', '1.1.1.1 > shop/web TCP/80'],
    },
    {
      rule: 'an empty podSelector matches every pod of the namespace',
      policies: { 'shop/p': all },
      allowed: ['shop/cli > lab/x TCP/80'],
      refused: ['lab/x > shop/web TCP/80', 'lab/x > shop/db TCP/80'],
    },
    {
      rule: 'a podSelector that matches nobody isolates nobody',
      policies: { 'shop/p': { podSelector: { matchLabels: { app: 'nobody' } } } },
      allowed: ['lab/x > shop/web TCP/80'],
    },
    {
      rule: 'matchLabels and matchExpressions must hold together',
      policies: {
        'shop/p': {
          podSelector: {
            matchLabels: { app: 'web' },
            matchExpressions: [{ key: 'tier', operator: 'In', values: ['front'] }],
          },
        },
      },
      allowed: ['lab/x > shop/web TCP/80', 'lab/x > shop/cli TCP/80'],
    },
  ],

  policyTypes: [
    {
      rule: 'missing, without egress rules: Ingress',
      policies: { 'shop/p': all },
      allowed: ['shop/web > lab/x TCP/80'],
      refused: ['lab/x > shop/web TCP/80'],
    },
    {
      rule: 'missing, with egress rules: Ingress and Egress',
      policies: { 'shop/p': { ...all, egress: [{ ports: [{ port: 80 }] }] } },
      allowed: ['shop/web > lab/x TCP/80'],
      refused: ['shop/web > lab/x TCP/81', 'lab/x > shop/web TCP/80'],
    },
    {
      rule: 'Egress alone does not isolate for ingress, whatever ingress says',
      policies: { 'shop/p': { ...all, ...out, ingress: [] } },
      allowed: ['lab/x > shop/web TCP/80'],
      refused: ['shop/web > lab/x TCP/80'],
    },
    {
      rule: 'Ingress alone does not isolate for egress, whatever egress says',
      policies: { 'shop/p': { ...all, policyTypes: ['Ingress'], egress: [{ ports: [{ port: 80 }] }] } },
      allowed: ['shop/web > lab/x TCP/81'],
      refused: ['lab/x > shop/web TCP/80'],
    },
    {
      rule: 'both, with rules for one: the other stays shut',
      policies: { 'shop/p': { ...all, policyTypes: ['Ingress', 'Egress'], ingress: [{}] } },
      allowed: ['lab/x > shop/web TCP/80'],
      refused: ['shop/web > lab/x TCP/80'],
    },
  ],

  'empty and missing': [
    ...[{}, { ingress: [] }, { ingress: null }].map((section) => ({
      rule: `${JSON.stringify(section)} admits nobody`,
      policies: { 'shop/p': { ...all, ...section } },
      refused: ['lab/x > shop/web TCP/80', 'shop/cli > shop/web TCP/80', '1.1.1.1 > shop/web TCP/80'],
    })),
    ...[{}, { from: [] }, { from: null }, { ports: [] }, { from: [], ports: [] }].map((rule) => ({
      rule: `ingress rule ${JSON.stringify(rule)} admits everybody on every port and protocol`,
      policies: { 'shop/p': { ...all, ingress: [rule] } },
      allowed: [
        'lab/x > shop/web TCP/80',
        'orphan/o > shop/web UDP/1',
        '1.1.1.1 > shop/web SCTP/65535',
        'fd00::9 > shop/web@fd00:10:244:1::10 TCP/80',
      ],
    })),
    ...[{}, { to: [] }, { to: null }, { ports: null }].map((rule) => ({
      rule: `egress rule ${JSON.stringify(rule)} lets go everywhere`,
      policies: { 'shop/p': { ...all, ...out, egress: [rule] } },
      allowed: ['shop/web > lab/x TCP/80', 'shop/web > 1.1.1.1 UDP/1', 'shop/web > node:node-2@192.168.0.2 SCTP/5'],
    })),
    {
      rule: 'an empty list of peers with ports admits everybody on those ports',
      policies: { 'shop/p': { ...all, ingress: [{ from: [], ports: [{ port: 80 }] }] } },
      allowed: ['lab/x > shop/web TCP/80', '1.1.1.1 > shop/web TCP/80'],
      refused: ['lab/x > shop/web TCP/81', 'lab/x > shop/web UDP/80'],
    },
    {
      rule: 'an empty list of ports with peers admits those peers on every port and protocol',
      policies: { 'shop/p': { ...all, ingress: [{ from: [web], ports: [] }] } },
      allowed: ['shop/web > shop/db UDP/7', 'shop/web > shop/db SCTP/65535'],
      refused: ['shop/cli > shop/db TCP/80'],
    },
    {
      rule: 'an empty podSelector as peer means the pods of the policy’s namespace and nothing else',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ podSelector: {} }] }] } },
      allowed: ['shop/cli > shop/web TCP/80'],
      refused: ['ops/web > shop/web TCP/80', 'lab/x > shop/web TCP/80', '1.1.1.1 > shop/web TCP/80'],
    },
    {
      rule: 'an empty namespaceSelector as peer means the pods of all namespaces, and no address that is not a pod',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ namespaceSelector: {} }] }] } },
      allowed: ['shop/cli > shop/web TCP/80', 'ops/web > shop/web TCP/80', 'lab/x > shop/web TCP/80'],
      refused: ['1.1.1.1 > shop/web TCP/80', 'ops/host2 > shop/web TCP/80'],
    },
    {
      rule: 'matchLabels null and matchExpressions empty are an empty selector',
      policies: { 'shop/p': { podSelector: { matchLabels: null, matchExpressions: [] } } },
      refused: ['lab/x > shop/web TCP/80'],
    },
  ],

  'namespaceSelector and podSelector': [
    {
      rule: 'a podSelector alone means pods of the policy’s own namespace',
      policies: { 'shop/p': { ...all, ingress: [{ from: [web] }] } },
      allowed: ['shop/web > shop/db TCP/80'],
      refused: ['ops/web > shop/db TCP/80', 'shop/cli > shop/db TCP/80'],
    },
    {
      rule: 'a namespaceSelector alone means every pod of the namespaces it matches',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'ops' } } }] }] },
      },
      allowed: ['ops/web > shop/db TCP/80', 'ops/prom > shop/db TCP/80'],
      refused: ['shop/web > shop/db TCP/80', 'lab/x > shop/db TCP/80'],
    },
    {
      rule: 'both in one element must hold together',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'ops' } }, ...web }] }] },
      },
      allowed: ['ops/web > shop/db TCP/80'],
      refused: ['ops/prom > shop/db TCP/80', 'shop/web > shop/db TCP/80'],
    },
    {
      rule: 'as two elements one of them is enough',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'ops' } } }, web] }] },
      },
      allowed: ['ops/web > shop/db TCP/80', 'ops/prom > shop/db TCP/80', 'shop/web > shop/db TCP/80'],
      refused: ['shop/cli > shop/db TCP/80', 'lab/x > shop/db TCP/80'],
    },
    {
      rule: 'labels of a namespace are not labels of its pods, nor the other way round',
      policies: {
        'shop/p': {
          ...all,
          ingress: [
            {
              from: [
                { namespaceSelector: { matchLabels: { app: 'web' } } },
                { podSelector: { matchLabels: { team: 'sales' } } },
              ],
            },
          ],
        },
      },
      allowed: ['ops/prom > shop/db TCP/80'],
      refused: ['shop/web > shop/db TCP/80', 'shop/cli > shop/db TCP/80'],
    },
    {
      rule: 'every namespace carries its name as kubernetes.io/metadata.name',
      policies: {
        'shop/p': {
          ...all,
          ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'lab' } } }] }],
        },
      },
      allowed: ['lab/x > shop/db TCP/80'],
      refused: ['ops/prom > shop/db TCP/80'],
    },
    {
      rule: 'without its Namespace object a pod matches no namespaceSelector, not even one that asks for absence',
      policies: {
        'shop/p': {
          ...all,
          ingress: [{ from: [{ namespaceSelector: {} }, namespacesWith({ key: 'team', operator: 'DoesNotExist' })] }],
        },
      },
      allowed: ['lab/x > shop/db TCP/80'],
      refused: ['orphan/o > shop/db TCP/80'],
    },
    {
      rule: 'within a namespace without its object policies and podSelector peers work by name',
      policies: { 'orphan/p': { ...all, ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }] } },
      refused: ['shop/cli > orphan/o TCP/80'],
    },
    {
      rule: 'egress peers are the destination',
      policies: {
        'shop/p': {
          ...all,
          ...out,
          egress: [{ to: [{ namespaceSelector: { matchLabels: { team: 'ops' } }, ...web }] }],
        },
      },
      allowed: ['shop/cli > ops/web TCP/80', '10.244.2.20 > shop/cli TCP/80'],
      refused: ['shop/cli > ops/prom TCP/80', 'shop/cli > shop/web TCP/80', 'shop/cli > 1.1.1.1 TCP/80'],
    },
  ],

  matchExpressions: [
    {
      rule: 'In',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [podsWith({ key: 'app', operator: 'In', values: ['cli', 'db'] })] }] },
      },
      allowed: ['shop/cli > shop/web TCP/80', 'shop/db > shop/web TCP/80'],
      refused: ['shop/web > shop/db TCP/80', 'orphan/o > shop/web TCP/80'],
    },
    {
      rule: 'NotIn matches what has the key with another value and what does not have it',
      policies: {
        'shop/p': {
          ...all,
          ingress: [{ from: [podsWith({ key: 'tier', operator: 'NotIn', values: ['front', 'back'] })] }],
        },
      },
      allowed: ['shop/web > shop/db TCP/80', 'shop/db > shop/web TCP/80'],
      refused: ['shop/cli > shop/web TCP/80'],
    },
    {
      rule: 'Exists matches an empty value',
      policies: { 'shop/p': { ...all, ingress: [{ from: [podsWith({ key: 'tier', operator: 'Exists' })] }] } },
      allowed: ['shop/web > shop/db TCP/80', 'shop/cli > shop/db TCP/80'],
      refused: ['shop/db > shop/web TCP/80'],
    },
    {
      rule: 'DoesNotExist',
      policies: { 'shop/p': { ...all, ingress: [{ from: [podsWith({ key: 'tier', operator: 'DoesNotExist' })] }] } },
      allowed: ['shop/db > shop/web TCP/80'],
      refused: ['shop/web > shop/db TCP/80', 'shop/cli > shop/db TCP/80'],
    },
    {
      rule: 'In with the empty value does not match a missing key',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [podsWith({ key: 'tier', operator: 'In', values: [''] })] }] },
      },
      allowed: ['shop/web > shop/db TCP/80'],
      refused: ['shop/db > shop/web TCP/80'],
    },
    {
      rule: 'a key that every JavaScript object has is a label like any other',
      policies: { 'shop/p': podsWith({ key: 'constructor', operator: 'Exists' }) },
      allowed: ['lab/x > shop/web TCP/80'],
    },
    {
      rule: 'all expressions must hold, two of one key as well',
      policies: {
        'shop/p': {
          ...all,
          ingress: [
            {
              from: [
                podsWith(
                  { key: 'app', operator: 'In', values: ['web', 'cli'] },
                  { key: 'app', operator: 'NotIn', values: ['web'] },
                ),
              ],
            },
          ],
        },
      },
      allowed: ['shop/cli > shop/db TCP/80'],
      refused: ['shop/web > shop/db TCP/80'],
    },
    {
      rule: 'the same operators select namespaces',
      policies: {
        'shop/p': {
          ...all,
          ingress: [
            {
              from: [
                namespacesWith(
                  { key: 'team', operator: 'NotIn', values: ['ops'] },
                  { key: 'app', operator: 'DoesNotExist' },
                ),
              ],
            },
          ],
        },
      },
      allowed: ['lab/x > shop/db TCP/80', 'shop/cli > shop/db TCP/80'],
      refused: ['ops/web > shop/db TCP/80'],
    },
  ],

  ipBlock: [
    {
      rule: 'means the addresses of its network up to both edges',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ ipBlock: { cidr: '172.17.0.0/16' } }] }] } },
      allowed: ['172.17.0.0 > shop/web TCP/80', '172.17.255.255 > shop/web TCP/80'],
      refused: ['172.16.255.255 > shop/web TCP/80', '172.18.0.0 > shop/web TCP/80', 'shop/cli > shop/web TCP/80'],
    },
    {
      rule: 'except is cut out up to both edges',
      policies: {
        'shop/p': {
          ...all,
          ingress: [{ from: [{ ipBlock: { cidr: '172.17.0.0/16', except: ['172.17.1.0/24', '172.17.9.9/32'] } }] }],
        },
      },
      allowed: ['172.17.0.255 > shop/web TCP/80', '172.17.2.0 > shop/web TCP/80', '172.17.9.8 > shop/web TCP/80'],
      refused: ['172.17.1.0 > shop/web TCP/80', '172.17.1.255 > shop/web TCP/80', '172.17.9.9 > shop/web TCP/80'],
    },
    {
      rule: 'except is cut out of its own block only: a neighbour, another rule and another policy still admit',
      policies: {
        'shop/p': {
          ...all,
          ingress: [
            {
              from: [
                { ipBlock: { cidr: '172.17.0.0/16', except: ['172.17.1.0/24'] } },
                { ipBlock: { cidr: '172.17.1.0/28' } },
              ],
            },
            { from: [{ ipBlock: { cidr: '172.17.1.16/28' } }] },
          ],
        },
        'shop/q': {
          ...all,
          ingress: [{ from: [{ ipBlock: { cidr: '172.0.0.0/8', except: ['172.17.0.0/24', '172.17.1.64/26'] } }] }],
        },
      },
      allowed: [
        '172.17.0.1 > shop/web TCP/80',
        '172.17.1.1 > shop/web TCP/80',
        '172.17.1.17 > shop/web TCP/80',
        '172.17.1.33 > shop/web TCP/80',
      ],
      refused: ['172.17.1.65 > shop/web TCP/80'],
    },
    {
      rule: 'matches the addresses of pods as well, its except too',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [{ ipBlock: { cidr: '10.244.2.0/24', except: ['10.244.2.30/32'] } }] }] },
      },
      allowed: ['shop/cli > shop/web TCP/80', 'ops/web > shop/web TCP/80', 'orphan/o > shop/web TCP/80'],
      refused: ['lab/x > shop/web TCP/80', 'shop/db > shop/web TCP/80'],
    },
    {
      rule: 'never matches the other family, however wide',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] } },
      allowed: [
        '1.1.1.1 > shop/web TCP/80',
        '255.255.255.255 > shop/web TCP/80',
        'shop/cli@10.244.2.12 > shop/web TCP/80',
      ],
      refused: ['fd00::1 > shop/web TCP/80', '::1 > shop/web TCP/80', 'shop/cli@fd00:10:244:2::12 > shop/web TCP/80'],
    },
    {
      rule: 'IPv6 with except',
      policies: {
        'shop/p': { ...all, ...out, egress: [{ to: [{ ipBlock: { cidr: '::/0', except: ['fd00:10:244:2::/64'] } }] }] },
      },
      allowed: ['shop/web > 2001:db8::1 TCP/80', 'shop/web > fd00:10:244:3:: TCP/80'],
      refused: [
        'shop/web > shop/cli@fd00:10:244:2::12 TCP/80',
        'shop/web > fd00:10:244:2:ffff:ffff:ffff:ffff TCP/80',
        'shop/web > 1.1.1.1 TCP/80',
      ],
    },
    {
      rule: 'host bits in its text do not matter',
      policies: {
        'shop/p': { ...all, ingress: [{ from: [{ ipBlock: { cidr: '172.17.3.4/16', except: ['172.17.1.77/24'] } }] }] },
      },
      allowed: ['172.17.0.0 > shop/web TCP/80'],
      refused: ['172.17.1.0 > shop/web TCP/80', '172.18.0.0 > shop/web TCP/80'],
    },
  ],

  ports: [
    {
      rule: 'a port without protocol is TCP',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ port: 80 }] }] } },
      allowed: ['lab/x > shop/web TCP/80'],
      refused: [
        'lab/x > shop/web UDP/80',
        'lab/x > shop/web SCTP/80',
        'lab/x > shop/web TCP/79',
        'lab/x > shop/web TCP/81',
      ],
    },
    {
      rule: 'a protocol without port is all its ports',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ protocol: 'UDP' }] }] } },
      allowed: ['lab/x > shop/web UDP/1', 'lab/x > shop/web UDP/65535'],
      refused: ['lab/x > shop/web TCP/1', 'lab/x > shop/web SCTP/1'],
    },
    {
      rule: 'an element that says nothing is all of TCP',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{}] }] } },
      allowed: ['lab/x > shop/web TCP/1', 'lab/x > shop/web TCP/65535'],
      refused: ['lab/x > shop/web UDP/1'],
    },
    {
      rule: 'endPort is in the range',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ protocol: 'SCTP', port: 100, endPort: 200 }] }] } },
      allowed: ['lab/x > shop/web SCTP/100', 'lab/x > shop/web SCTP/150', 'lab/x > shop/web SCTP/200'],
      refused: ['lab/x > shop/web SCTP/99', 'lab/x > shop/web SCTP/201', 'lab/x > shop/web TCP/150'],
    },
    {
      rule: 'one element of several is enough',
      policies: {
        'shop/p': { ...all, ingress: [{ ports: [{ port: 80 }, { protocol: 'UDP', port: 53, endPort: 53 }] }] },
      },
      allowed: ['lab/x > shop/web TCP/80', 'lab/x > shop/web UDP/53'],
      refused: ['lab/x > shop/web TCP/53', 'lab/x > shop/web UDP/80'],
    },
    {
      rule: 'peers and ports must match in the same rule',
      policies: {
        'shop/p': {
          ...all,
          ingress: [
            { from: [web], ports: [{ port: 80 }] },
            { from: [{ namespaceSelector: {} }], ports: [{ port: 81 }] },
          ],
        },
      },
      allowed: ['shop/web > shop/db TCP/80', 'lab/x > shop/db TCP/81'],
      refused: ['lab/x > shop/db TCP/80', 'shop/web > shop/db TCP/82'],
    },
    {
      rule: 'egress ports are the destination’s',
      policies: { 'shop/p': { ...all, ...out, egress: [{ ports: [{ protocol: 'UDP', port: 53 }] }] } },
      allowed: ['shop/web > 1.1.1.1 UDP/53', 'shop/web > lab/x UDP/53', 'lab/x > shop/web TCP/80'],
      refused: ['shop/web > 1.1.1.1 TCP/53', 'shop/web > lab/x UDP/54'],
    },
  ],

  'named ports': [
    {
      rule: 'of an ingress rule is each selected pod’s own number',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ port: 'http' }] }] } },
      allowed: ['lab/x > shop/web TCP/8080', 'lab/x > shop/db TCP/9090'],
      refused: [
        'lab/x > shop/web TCP/9090',
        'lab/x > shop/db TCP/8080',
        'lab/x > shop/web UDP/8080',
        'lab/x > shop/web TCP/8443',
      ],
    },
    {
      rule: 'is looked up under its protocol',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ protocol: 'UDP', port: 'http' }, { port: 'dns' }] }] } },
      allowed: ['lab/x > shop/web UDP/8443'],
      refused: [
        'lab/x > shop/web UDP/8080',
        'lab/x > shop/web TCP/8443',
        'lab/x > shop/web TCP/53',
        'lab/x > shop/web UDP/53',
        'lab/x > shop/db UDP/9090',
      ],
    },
    {
      rule: 'that the pod does not have opens nothing',
      policies: { 'shop/p': { ...all, ingress: [{ ports: [{ port: 'nosuch' }] }] } },
      refused: [
        'lab/x > shop/web TCP/8080',
        'lab/x > shop/web TCP/1',
        'lab/x > shop/cli TCP/80',
        'lab/x > shop/cli UDP/80',
      ],
    },
    {
      rule: 'of an egress rule is the destination pod’s number',
      policies: { 'shop/p': { ...all, ...out, egress: [{ ports: [{ port: 'http' }] }] } },
      allowed: ['shop/cli > shop/web TCP/8080', 'shop/cli > shop/db TCP/9090', 'shop/cli > 10.244.1.11 TCP/9090'],
      refused: [
        'shop/cli > shop/web TCP/9090',
        'shop/cli > lab/x TCP/8080',
        'shop/cli > 1.1.1.1 TCP/8080',
        'shop/web > ops/prom TCP/8080',
      ],
    },
    {
      rule: 'of an egress rule holds for the pods within an ipBlock',
      policies: {
        'shop/p': {
          ...all,
          ...out,
          egress: [{ to: [{ ipBlock: { cidr: '10.244.1.8/30' } }], ports: [{ port: 'http' }] }],
        },
      },
      allowed: ['shop/cli > shop/web TCP/8080', 'shop/cli > shop/db TCP/9090'],
      refused: ['shop/cli > 10.244.1.8 TCP/8080', 'shop/cli > shop/web TCP/9090'],
    },
    {
      rule: 'is none of a hostNetwork pod or of a finished pod',
      policies: { 'shop/p': { ...all, ...out, egress: [{ ports: [{ port: 'http' }] }] } },
      refused: ['shop/cli > ops/host1 TCP/80', 'shop/cli > shop/done TCP/80', 'shop/cli > 10.244.1.40 TCP/80'],
    },
  ],

  'several policies and both ends': [
    {
      rule: 'what one policy of several allows is allowed',
      policies: {
        'shop/deny': all,
        'shop/a': { ...all, ingress: [{ from: [web] }] },
        'shop/b': { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ ports: [{ port: 5432 }] }] },
      },
      allowed: ['shop/web > shop/db TCP/1', 'lab/x > shop/db TCP/5432'],
      refused: ['lab/x > shop/db TCP/1', 'lab/x > shop/cli TCP/5432'],
    },
    {
      rule: 'the sender must be allowed to send and the receiver to receive',
      policies: {
        'shop/in': { ...web, ingress: [{ ports: [{ port: 80 }, { port: 81 }] }] },
        'lab/out': { ...all, ...out, egress: [{ ports: [{ port: 81 }, { port: 82 }] }] },
      },
      allowed: ['lab/x > shop/web TCP/81', 'ops/prom > shop/web TCP/80', 'lab/x > shop/db TCP/82'],
      refused: ['lab/x > shop/web TCP/80', 'lab/x > shop/web TCP/82'],
    },
    {
      rule: 'an egress rule between two selected pods does not open ingress',
      policies: { 'shop/p': { ...all, policyTypes: ['Ingress', 'Egress'], egress: [{ to: [{ podSelector: {} }] }] } },
      refused: ['shop/web > shop/db TCP/80', 'shop/db > shop/web TCP/80'],
    },
    {
      rule: 'policies of another namespace with the same name do not meet',
      policies: { 'shop/p': all, 'ops/p': { ...all, ingress: [{}] } },
      allowed: ['lab/x > ops/web TCP/80'],
      refused: ['lab/x > shop/web TCP/80'],
    },
  ],

  'a pod itself, nodes, hostNetwork and finished pods': [
    {
      rule: 'a pod reaches itself whatever policies say, by any of its addresses',
      policies: { 'shop/p': { ...all, policyTypes: ['Ingress', 'Egress'] } },
      allowed: ['shop/web > shop/web TCP/80', '10.244.1.10 > shop/web UDP/1', 'shop/web > fd00:10:244:1::10 TCP/80'],
    },
    {
      rule: 'a node and its own pods reach each other whatever policies say',
      policies: { 'shop/p': { ...all, policyTypes: ['Ingress', 'Egress'] } },
      allowed: ['node:node-1@192.168.0.1 > shop/web TCP/80', 'shop/web > node:node-1@10.244.1.1 TCP/10250'],
      refused: ['node:node-2@192.168.0.2 > shop/web TCP/80', 'shop/web > node:node-2@192.168.0.2 TCP/80'],
    },
    {
      rule: 'another node is an address like any other',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ ipBlock: { cidr: '192.168.0.2/32' } }] }] } },
      allowed: ['node:node-2@192.168.0.2 > shop/web TCP/80', 'ops/host2 > shop/web TCP/80'],
      refused: ['node:node-3@192.168.0.3 > shop/web TCP/80'],
    },
    {
      rule: 'a hostNetwork pod is its node: no selector means it, none isolates it',
      policies: {
        'ops/p': all,
        'shop/p': {
          ...all,
          ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'host' } } }] }],
        },
      },
      allowed: [
        'lab/x > ops/host1 TCP/80',
        'ops/host1 > shop/web TCP/80',
        '192.168.0.1 > shop/web TCP/80',
        'ops/host2 > shop/cli TCP/80',
      ],
      refused: ['ops/host2 > shop/web TCP/80', '192.168.0.2 > shop/web TCP/80', 'ops/host1 > shop/cli TCP/80'],
    },
    {
      rule: 'a finished pod is nobody’s peer and nobody’s to isolate; its address is an address',
      policies: {
        'shop/p': {
          ...all,
          ingress: [{ from: [web] }, { from: [{ ipBlock: { cidr: '10.244.1.40/32' } }], ports: [{ port: 80 }] }],
        },
      },
      allowed: ['shop/done > shop/db TCP/80', '10.244.1.40 > shop/db TCP/80', 'lab/x > shop/done TCP/1'],
      refused: ['shop/done > shop/db TCP/81', '10.244.1.40 > shop/db TCP/81'],
    },
    {
      rule: 'an address that a finished pod had is the pod’s that has it now',
      policies: { 'shop/p': { ...all, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'db' } } }] }] } },
      allowed: ['10.244.1.11 > shop/web TCP/80', 'shop/failed > shop/web TCP/80'],
      refused: ['lab/x > shop/failed TCP/80'],
    },
    {
      rule: 'an address that a live pod has is that pod',
      policies: { 'shop/p': { ...all, ingress: [{ from: [web] }] }, 'lab/p': { ...all, ...out } },
      allowed: ['10.244.1.10 > 10.244.1.11 TCP/80', 'fd00:10:244:1::10 > shop/db TCP/80'],
      refused: ['10.244.2.12 > 10.244.1.11 TCP/80', '10.244.2.30 > 1.1.1.1 TCP/80'],
    },
  ],
};

describe.each(Object.entries(tables))('%s', (_, cases) => {
  test.for(cases)('$rule', ({ policies, allowed = [], refused = [] }) => {
    const cluster = clusterOf([...world, ...Object.entries(policies).map(([key, spec]) => policy(key, spec))]);
    const verdicts = [...allowed, ...refused].map((flow) => [flow, evaluate(cluster, flowOf(flow)).allowed] as const);
    expect(Object.fromEntries(verdicts)).toEqual({
      ...Object.fromEntries(allowed.map((flow) => [flow, true])),
      ...Object.fromEntries(refused.map((flow) => [flow, false])),
    });
  });
});

describe('the verdict tells why', () => {
  const policies: readonly Manifest[] = [
    policy('shop/deny', all),
    policy('shop/web', {
      ...web,
      ingress: [
        { ports: [{ protocol: 'UDP', port: 53 }] },
        {
          from: [
            { ipBlock: { cidr: '172.17.0.0/16', except: ['172.17.1.0/24'] } },
            { namespaceSelector: { matchLabels: { team: 'ops' } }, podSelector: { matchLabels: { app: 'prom' } } },
            { podSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } },
          ],
          ports: [{ port: 'http' }, { port: 100, endPort: 200 }],
        },
        { ports: [{ protocol: 'UDP', port: 53, endPort: 54 }] },
      ],
    }),
    policy('lab/out', { ...all, ...out, egress: [{ to: [{ ipBlock: { cidr: '172.17.0.0/16' } }] }] }),
  ];
  const cluster = clusterOf([...world, ...policies]);
  const verdictOf = (flow: string) => evaluate(cluster, flowOf(flow));

  test('neither end is a pod', () => {
    expect(verdictOf('1.1.1.1 > ops/host1 TCP/80')).toEqual({
      allowed: true,
      egress: { kind: 'notAPod' },
      ingress: { kind: 'notAPod' },
    });
  });

  test('a pod and itself', () => {
    expect(verdictOf('shop/web > shop/web TCP/80')).toEqual({
      allowed: true,
      egress: { kind: 'itself' },
      ingress: { kind: 'itself' },
    });
  });

  test('a pod and its node', () => {
    expect(verdictOf('node:node-1@192.168.0.1 > shop/web TCP/80').ingress).toEqual({ kind: 'ownNode' });
    expect(verdictOf('lab/x > ops/host2 TCP/80').egress).toEqual({ kind: 'ownNode' });
  });

  test('no policy isolates', () => {
    expect(verdictOf('ops/prom > ops/web TCP/80')).toEqual({
      allowed: true,
      egress: { kind: 'notIsolated' },
      ingress: { kind: 'notIsolated' },
    });
  });

  test('every rule that allows, by policy, rule, peer and port', () => {
    expect(verdictOf('ops/prom > shop/web TCP/100').ingress).toEqual({
      kind: 'allowed',
      by: [{ policy: 'shop/web', rule: 1, peer: 1, port: 1 }],
    });
    expect(verdictOf('ops/prom > shop/web UDP/53').ingress).toEqual({
      kind: 'allowed',
      by: [
        { policy: 'shop/web', rule: 0, peer: undefined, port: 0 },
        { policy: 'shop/web', rule: 2, peer: undefined, port: 0 },
      ],
    });
  });

  // shop/deny has no rule to come near; of shop/web's rules the nearest is asked for.
  test.for<{ flow: string; nearest: unknown }>([
    {
      flow: 'ops/prom > shop/web TCP/99',
      nearest: {
        rule: 1,
        peer: { index: 1 },
        port: { index: 0, mismatch: { kind: 'named', name: 'http', numbers: [8080] } },
      },
    },
    {
      flow: 'ops/prom > shop/web SCTP/53',
      nearest: {
        rule: 0,
        peer: { index: undefined },
        port: { index: 0, mismatch: { kind: 'protocol', wanted: 'UDP' } },
      },
    },
    {
      flow: 'ops/prom > shop/web UDP/55',
      nearest: {
        rule: 0,
        peer: { index: undefined },
        port: { index: 0, mismatch: { kind: 'number', from: 53, to: 53 } },
      },
    },
    {
      flow: '172.17.1.5 > shop/web TCP/8080',
      nearest: {
        rule: 1,
        peer: { index: 0, mismatch: { kind: 'except', cidr: { text: '172.17.1.0/24', family: 'ipv4' } } },
        port: { index: 0 },
      },
    },
    {
      flow: 'ops/web > shop/web TCP/150',
      nearest: {
        rule: 1,
        peer: {
          index: 1,
          mismatch: {
            kind: 'podLabel',
            label: { requirement: { operator: 'In', key: 'app', values: ['prom'] }, actual: 'web' },
          },
        },
        port: { index: 1 },
      },
    },
    {
      flow: 'shop/db > shop/web TCP/150',
      nearest: {
        rule: 1,
        peer: {
          index: 2,
          mismatch: {
            kind: 'podLabel',
            label: { requirement: { operator: 'Exists', key: 'tier' }, actual: undefined },
          },
        },
        port: { index: 1 },
      },
    },
    {
      flow: 'lab/x@10.244.2.30 > shop/web TCP/150',
      nearest: {
        rule: 1,
        peer: {
          index: 1,
          mismatch: {
            kind: 'namespaceLabel',
            label: { requirement: { operator: 'In', key: 'team', values: ['ops'] }, actual: undefined },
          },
        },
        port: { index: 1 },
      },
    },
    {
      flow: 'orphan/o > shop/web TCP/150',
      nearest: { rule: 1, peer: { index: 1, mismatch: { kind: 'unknownNamespace' } }, port: { index: 1 } },
    },
    {
      flow: '1.1.1.1 > shop/web TCP/150',
      nearest: {
        rule: 1,
        peer: { index: 0, mismatch: { kind: 'outsideBlock', cidr: { text: '172.17.0.0/16', family: 'ipv4' } } },
        port: { index: 1 },
      },
    },
  ])('what refuses and what came nearest: $flow', ({ flow, nearest }) => {
    expect(verdictOf(flow).ingress).toEqual({
      kind: 'refused',
      by: [{ policy: 'shop/deny' }, { policy: 'shop/web', nearest }],
    });
  });

  test('each end for itself', () => {
    expect(verdictOf('lab/x > shop/db TCP/80')).toEqual({
      allowed: false,
      egress: {
        kind: 'refused',
        by: [
          {
            policy: 'lab/out',
            nearest: {
              rule: 0,
              peer: { index: 0, mismatch: { kind: 'outsideBlock', cidr: { text: '172.17.0.0/16', family: 'ipv4' } } },
              port: {},
            },
          },
        ],
      },
      ingress: { kind: 'refused', by: [{ policy: 'shop/deny' }] },
    });
  });

  test('the pods and namespaces in the way are named', () => {
    const other = clusterOf([
      ...world,
      policy('shop/p', { ...all, ingress: [{ from: [web] }, { from: [{ ipBlock: { cidr: '::/0' } }] }] }),
    ]);
    const nearest = evaluate(other, flowOf('ops/web > shop/db TCP/80')).ingress;
    expect(nearest).toEqual({
      kind: 'refused',
      by: [
        {
          policy: 'shop/p',
          nearest: { rule: 0, peer: { index: 0, mismatch: { kind: 'otherNamespace', wanted: 'shop' } }, port: {} },
        },
      ],
    });
  });

  test('a pod that the cluster does not have is an error', () => {
    expect(() => verdictOf('shop/nobody > shop/web TCP/80')).toThrow(
      'Cannot judge the flow: there is no pod "nobody" in namespace "shop"',
    );
  });
});
