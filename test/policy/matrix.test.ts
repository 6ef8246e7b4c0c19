import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFinished } from '../../src/kube/pod.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { matrix, type Cell } from '../../src/policy/matrix.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowOf } from '../helpers/flowText.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const PORTS = [
  { port: 80, protocol: 'TCP' },
  { port: 53, protocol: 'UDP' },
  { port: 7, protocol: 'SCTP' },
] as const;

test.for([
  { name: 'as they are', change: (manifest: Manifest) => manifest },
  // Pods that have nothing but their labels to be told apart by.
  {
    name: 'without ports and addresses',
    change: (manifest: Manifest) => (manifest['kind'] === 'Pod' ? bare(manifest) : manifest),
  },
])('every cell of generated clusters is what evaluate says of that pair of pods: $name', ({ change }) => {
  const agrees = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests.map(change));
    const wrong = [...matrix(cluster, { ports: PORTS }).cells()].filter((cell) => {
      const flow = flowOf(`${cell.from} > ${cell.to} ${cell.protocol}/${cell.port}`);
      const { allowed, egress, ingress } = evaluate(cluster, flow);
      const answers = [allowed, egress.kind !== 'refused', ingress.kind !== 'refused'].map(answer);
      return answers.join() !== [cell.verdict, cell.egress, cell.ingress].join();
    });
    expect(wrong).toEqual([]);
  });
  fc.assert(agrees, { numRuns: 300 });
});

function bare({ spec, status, ...manifest }: Manifest): Manifest {
  const { nodeName, hostNetwork } = spec as Manifest;
  const { phase } = status as Manifest;
  return { ...manifest, spec: { nodeName, hostNetwork }, status: { phase } };
}

test('there is a cell for every pair of pods that run and every port', () => {
  const isWhole = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    const pods = [...cluster.pods.values()].filter((each) => !isFinished(each));
    const cells = [...matrix(cluster, { ports: PORTS }).cells()];
    for (const { from, to } of pods.flatMap((source) => pods.map((target) => ({ from: source, to: target })))) {
      const found = cells.filter((cell) => cell.from === keyOf(from) && cell.to === keyOf(to)).map(portText);
      const wanted = [...to.namedPorts, ...to.unnamedPorts, ...PORTS].map(portText);
      expect(found.toSorted()).toEqual([...new Set(wanted)].toSorted());
    }
  });
  fc.assert(isWhole, { numRuns: 50 });
});

function answer(allowed: boolean) {
  return allowed ? 'allowed' : 'blocked';
}

function keyOf({ namespace: name, name: podName }: { readonly namespace: string; readonly name: string }): string {
  return `${name}/${podName}`;
}

function portText({ port, protocol }: Pick<Cell, 'port' | 'protocol'>): string {
  return `${port}/${protocol}`;
}

const shop = clusterOf([
  namespace('shop'),
  namespace('other'),
  pod('shop/db', { labels: { app: 'db' }, ports: [{ name: 'redis', containerPort: 6379 }] }),
  pod('shop/web-1', { labels: { app: 'web', hash: '1' } }),
  pod('shop/web-2', { labels: { app: 'web', hash: '2' }, nodeName: 'node-2' }),
  pod('other/job', { phase: 'Succeeded' }),
  pod('other/web', { labels: { app: 'web' } }),
  policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: {} }] }] }),
]);

test('a cell says both sides and what comes of it', () => {
  expect([...matrix(shop).cells()].filter(({ from }) => from !== 'shop/db')).toEqual([
    {
      from: 'other/web',
      to: 'shop/db',
      port: 6379,
      portName: 'redis',
      protocol: 'TCP',
      egress: 'allowed',
      ingress: 'blocked',
      verdict: 'blocked',
    },
    ...['shop/web-1', 'shop/web-2'].map((from) => ({
      from,
      to: 'shop/db',
      port: 6379,
      portName: 'redis',
      protocol: 'TCP',
      egress: 'allowed',
      ingress: 'allowed',
      verdict: 'allowed',
    })),
  ]);
});

test('pods that differ only in what no policy looks at are one group', () => {
  const groups = matrix(shop).groups();
  expect(groups.map(({ pods }) => pods.map(keyOf))).toEqual([['other/web'], ['shop/db'], ['shop/web-1', 'shop/web-2']]);
});

test('pods that only a policy of another namespace tells apart are not alike', () => {
  const peer = { namespaceSelector: {}, podSelector: { matchLabels: { app: 'prom' } } };
  const cluster = clusterOf([
    namespace('ops'),
    pod('ops/other', {}),
    pod('ops/prom', { labels: { app: 'prom' } }),
    pod('shop/db', {}),
    policy('shop/db', { podSelector: {}, ingress: [{ from: [peer] }] }),
  ]);
  const toDb = [...matrix(cluster, { ports: PORTS }).cells()].filter(({ to, port }) => to === 'shop/db' && port === 80);
  expect(toDb.map(({ from, verdict }) => [from, verdict])).toEqual([
    ['ops/other', 'blocked'],
    ['ops/prom', 'allowed'],
    ['shop/db', 'allowed'],
  ]);
});

test('a namespace and a port narrow it, and do not change what it says', () => {
  const all = [...matrix(shop, { ports: PORTS }).cells()];
  const some = matrix(shop, { ports: PORTS, namespaces: ['shop'], only: { port: 53, protocol: 'UDP' } });
  const inShop = ({ from, to }: Cell) => from.startsWith('shop/') && to.startsWith('shop/');
  expect([...some.cells()]).toEqual(all.filter((cell) => inShop(cell) && cell.port === 53));
});

test('a hundred replicas are one group, told apart only when one talks to itself', () => {
  const replicas = Array.from({ length: 100 }, (_, index) =>
    pod(`shop/web-${index}`, { labels: { app: 'web', pod: `${index}` }, addresses: [`10.244.0.${index}`] }),
  );
  const isolated = policy('shop/web', { podSelector: { matchLabels: { app: 'web' } } });
  const many = matrix(clusterOf([...replicas, isolated]), { ports: PORTS });
  const open = [...many.cells()].filter(({ verdict }) => verdict === 'allowed');
  expect(many.groups()).toHaveLength(1);
  expect(open.map(({ to }) => to)).toEqual(open.map(({ from }) => from));
  expect(open).toHaveLength(300);
});
