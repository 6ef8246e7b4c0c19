import { compile } from '../../../../src/policy/compile.ts';
import { QUARANTINE } from '../../../../src/rules/pod.ts';
import { wantedPolicy } from '../../../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy } from '../../../helpers/manifests.ts';
import { hooksOf, type NodeState } from '../nodeStates.ts';

const WEB = {
  labels: { app: 'web' },
  addresses: ['10.0.0.1', 'fd00::1'],
  ports: [{ name: 'http', containerPort: 8080 }],
};
const others = Array.from({ length: 9 }, (_, index) =>
  pod(`shop/cli-${index}`, {
    labels: { app: 'cli' },
    addresses: [`10.0.1.${index}`, `fd00::1:${index}`],
    nodeName: 'node-2',
  }),
);

const CLUSTER = clusterOf([
  namespace('shop', { team: 'sales' }),
  pod('shop/web', WEB),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.2', 'fd00::2'] }),
  pod('shop/far', { ...WEB, addresses: ['10.0.1.99'], nodeName: 'node-2' }),
  ...others,
  pod('shop/busy', { labels: { app: 'busy' }, addresses: ['10.0.0.4'] }),
  policy('shop/busy', {
    podSelector: { matchLabels: { app: 'busy' } },
    ingress: Array.from({ length: 6 }, (_, index) => ({
      from: [{ podSelector: { matchLabels: { peer: `p${index}` } } }],
      ports: [
        { port: 9000 - index * 100 },
        { port: 53 + index, endPort: 60, protocol: 'UDP' },
        ...(index === 0 ? [{ protocol: 'SCTP' }] : []),
      ],
    })),
  }),
  policy('shop/web', {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { app: 'cli' } } }],
        ports: [
          { port: 80, endPort: 90 },
          { port: 53, protocol: 'UDP' },
        ],
      },
      { from: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ protocol: 'SCTP' }] },
      {
        from: [
          { ipBlock: { cidr: '::/0' } },
          { ipBlock: { cidr: '192.0.2.1/32' } },
          { ipBlock: { cidr: '2001:db8::/32' } },
        ],
      },
      { ports: [{ port: 443 }, { port: 8443 }, { port: 9000, endPort: 9010 }] },
    ],
    egress: [
      { to: [{ podSelector: {} }], ports: [{ port: 'http' }] },
      {
        to: [
          { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.3.0.0/24', '10.255.255.255/32'] } },
          { ipBlock: { cidr: '192.168.0.0/16', except: ['192.168.0.0/32', '192.168.128.0/17'] } },
          { ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8::/128', '2001:db8:8000::/33'] } },
        ],
      },
    ],
  }),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [{ from: [{ podSelector: {} }] }],
    egress: [{}],
  }),
]);

const POLICY = wantedPolicy(compile(CLUSTER, 'node-1'));

/** What the listings beside this file were taken of: every kind of rule, set and element. */
export const LISTED_STATE: NodeState = {
  policy: POLICY,
  pods: [
    {
      hooks: hooksOf('shop/web', { addresses: WEB.addresses, port: 'bridged' }),
      judgements: POLICY.judgements.get('shop/web') ?? QUARANTINE,
    },
    {
      hooks: hooksOf('shop/db', { addresses: ['10.0.0.2', 'fd00::2'], port: 'routed' }),
      judgements: POLICY.judgements.get('shop/db') ?? QUARANTINE,
    },
    {
      hooks: hooksOf('shop/busy', { addresses: ['10.0.0.4'], port: 'bridged' }),
      judgements: POLICY.judgements.get('shop/busy') ?? QUARANTINE,
    },
    { hooks: hooksOf('shop/new', { addresses: ['10.0.0.3'], port: 'none' }), judgements: QUARANTINE },
  ],
};
