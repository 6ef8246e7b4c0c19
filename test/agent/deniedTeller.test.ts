import pino from 'pino';
import { expect, test } from 'vitest';
import { DeniedTeller } from '../../src/agent/deniedTeller.ts';
import type { KnownNode } from '../../src/agent/nodeSync.ts';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import { PodEvents } from '../../src/source/api/podEvents.ts';
import { ApiDouble, connectionTo } from '../helpers/apiDouble.ts';
import { clusterOf, namespace, pod } from '../helpers/manifests.ts';

const STATIC = 'kubernetes.io/config';
const MANIFESTS = [
  namespace('shop'),
  pod('shop/db', { addresses: ['10.0.0.2'] }),
  pod('shop/other', { addresses: ['10.0.0.3'], nodeName: 'node-2' }),
  pod('shop/host', { addresses: ['10.0.0.4'], hostNetwork: true }),
  pod('shop/over', { addresses: ['10.0.0.5'], phase: 'Succeeded' }),
];

const FLOW: DeniedFlow = {
  audit: false,
  direction: 'ingress',
  from: { address: '10.0.0.1', pod: null },
  to: { address: '10.0.0.2', pod: 'shop/db' },
  protocol: 'TCP',
  port: 80,
  packets: 1,
  firstSeen: '2026-01-01T12:00:00.000Z',
  lastSeen: '2026-01-01T12:00:01.000Z',
  policies: ['shop/deny'],
};

/** A teller on node-1 that looks when it is told to, at an API server in this process. */
async function started(manifests = MANIFESTS) {
  const api = await ApiDouble.start();
  for (const manifest of manifests) api.put(manifest);
  const log: string[] = [];
  const state = {
    known: { cluster: clusterOf(api.objects), pods: [] } as KnownNode | undefined,
    denied: async () => ({ flows: [] as readonly DeniedFlow[], problem: undefined as string | undefined }),
  };
  const teller = new DeniedTeller({
    nodeName: 'node-1',
    events: new PodEvents({ connection: connectionTo(api), nodeName: 'node-1' }),
    sync: { known: () => state.known, denied: async () => state.denied() },
    log: pino({}, { write: (line: string) => void log.push((JSON.parse(line) as { readonly msg: string }).msg) }),
  });
  await teller.look();
  const look = async (...flows: readonly DeniedFlow[]) => {
    state.denied = async () => ({ flows, problem: undefined });
    await teller.look();
  };
  return { api, log, state, teller, look, [Symbol.asyncDispose]: async () => api.close() };
}

const to = (name: string): DeniedFlow => ({ ...FLOW, to: { address: `10.0.0.${name.length}`, pod: name } });

test('the API server gets an Event about the pod, as kubectl looks for it', async () => {
  await using node = await started();
  await node.look(FLOW);
  const uid = node.state.known?.cluster.pods.get('shop/db')?.uid;
  expect(uid).toMatch('uid-');
  expect(node.api.log.map(({ verb, path, body }) => [verb, path, body])).toEqual([
    [
      'POST',
      '/api/v1/namespaces/shop/events',
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace: 'shop', generateName: 'db.' },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'db', uid },
        type: 'Warning',
        reason: 'NetworkPolicyDenied',
        message: 'Refused 1 packet from 10.0.0.1 to port 80/TCP: isolated by shop/deny',
        source: { component: 'kube-nwplcy', host: 'node-1' },
        firstTimestamp: '2026-01-01T12:00:01Z',
        lastTimestamp: '2026-01-01T12:00:01Z',
        count: 1,
        reportingComponent: 'kube-nwplcy',
        reportingInstance: 'node-1',
      },
    ],
  ]);
});

test('pods of other nodes, of the network of the node, and those that have ended get none', async () => {
  await using node = await started();
  await node.look(to('shop/other'), to('shop/host'), to('shop/over'), to('shop/unknown'));
  expect(node.api.log).toEqual([]);
});

test("a static pod's is found by the uid that its kubelet knows, unless that is no uid", async () => {
  const annotated = (name: string, hash: string) => {
    const made = pod(`shop/${name}`, {});
    const annotations = { [`${STATIC}.mirror`]: hash, [`${STATIC}.hash`]: hash };
    return { ...made, metadata: { ...(made['metadata'] as object), uid: `uid-${name}`, annotations } };
  };
  await using node = await started([annotated('static', 'a1b2c3'), annotated('made-up', 'x'.repeat(100_000))]);
  await node.look(to('shop/static'), to('shop/made-up'));
  expect(node.api.log).toMatchObject([
    { body: { involvedObject: { name: 'static', uid: 'a1b2c3' } } },
    { body: { involvedObject: { name: 'made-up', uid: 'uid-made-up' } } },
  ]);
});

test('an API server that takes none is complained of once, and again after it has taken one', async () => {
  await using node = await started([...MANIFESTS, pod('shop/second', {}), pod('shop/third', {})]);
  node.api.refuse = () => ({ code: 403, message: 'events is forbidden' });
  await node.look(FLOW, to('shop/second'));
  expect(node.log).toEqual([
    'Cannot tell of refusals by Events: 403 events is forbidden; apply cni-conf/denied-events.yaml; trying again, and "denied" tells of them',
  ]);
  node.api.refuse = () => undefined;
  await node.look(FLOW, to('shop/second'), to('shop/third'));
  node.api.refuse = () => ({ code: 500 });
  await node.look(FLOW, to('shop/second'), to('shop/third'), { ...to('shop/third'), audit: true });
  expect(node.log.length).toBe(2);
});

test('nothing is asked before it is known whose the addresses are, and a kernel without records is complained of once', async () => {
  await using node = await started();
  node.state.denied = async () => ({ flows: [], problem: 'no ipset' });
  node.state.known = undefined;
  await node.teller.look();
  expect(node.log).toEqual([]);
  node.state.known = { cluster: clusterOf([]), pods: [] };
  for (let looks = 0; looks < 2; looks += 1) await node.teller.look();
  node.state.denied = async () => Promise.reject(new Error('no nft'));
  await node.teller.look();
  expect(node.log).toEqual([expect.stringMatching('nothing is noted down on this node: no ipset')]);
});

test('it ends though the API server does not answer, and says nothing more', async () => {
  await using node = await started();
  node.api.hangs = true;
  const asked = new Promise<void>((resolve) => (node.api.onRequest = () => resolve()));
  const looking = node.look(FLOW);
  await asked;
  await node.teller.stop();
  await looking;
  expect(node.log).toEqual([]);
});
