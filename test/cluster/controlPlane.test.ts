import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLab, type Lab } from '../lab/lab.ts';
import { machine, processesOf } from '../lab/machine.ts';
import { ApiError } from './apiClient.ts';
import { ControlPlane } from './controlPlane.ts';

// The harness of this folder: a real API server beside the lab's nodes, and the faults that tests cause.

const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'made' } };

let lab: Lab;
let api: ControlPlane;

beforeAll(async () => {
  lab = await startLab({ mode: 'ptp', objects: async (site) => (api = await ControlPlane.start(site)) });
});
afterAll(() => lab.stop());

test("a pod of the lab is an object, with its uid before ADD and with its addresses once it is the kubelet's turn", async () => {
  const pod = await lab.node(1).createPod({ namespace: 'shop', name: 'web', publishAfterMs: Infinity });
  await pod.attach();
  const { uid, addresses } = pod;
  expect((await api.cluster()).pods.get('shop/web')).toMatchObject({ uid, nodeName: 'node-1', addresses: [] });
  await pod.publish();
  expect((await api.cluster()).pods.get('shop/web')).toMatchObject({ uid, addresses });
  await pod.delete();
  expect([...(await api.cluster()).pods.keys()]).toEqual([]);
});

test('a token is refused a minute after its end', async () => {
  const path = '/api/v1/namespaces';
  const as = (seconds: number) => api.admin.withToken(api.account.token('node-1', { seconds }));
  await expect(as(3600).request('GET', path)).resolves.toMatchObject({ kind: 'NamespaceList' });
  await expect(as(-1).request('GET', path)).rejects.toMatchObject({ status: 401 });
});

test('what an API server wrote is there after a restart of it and of etcd', async () => {
  await api.admin.apply(NAMESPACE);
  await api.apiServer().kill();
  await expect(api.admin.get(NAMESPACE)).rejects.toThrow(/socket|ECONN/);
  await api.startApiServer();
  await api.etcd.kill();
  api.startEtcd();
  expect((await api.admin.get(NAMESPACE)).metadata.name).toBe('made');
});

test('nobody can watch on from before a compaction', async () => {
  const { resourceVersion } = (await api.admin.apply(NAMESPACE)).metadata;
  for (const name of ['later', 'latest']) await api.admin.apply({ ...NAMESPACE, metadata: { name } });
  await api.compact();
  await api.apiServer().kill();
  await api.startApiServer();
  const watch = `/api/v1/namespaces?watch=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
  const answer = await api.admin.request('GET', watch).catch((error: unknown) => error);
  expect(answer instanceof ApiError ? answer.status : answer).toMatchObject({ object: { code: 410 } });
});

test('a balancer turns to the second API server, which holds the same', async () => {
  await api.startApiServer('second');
  await api.balance('second');
  await api.apiServer('first').kill();
  expect((await api.admin.get(NAMESPACE)).metadata.name).toBe('made');
});

test('all of it is gone with the lab, and the machine is as it was', async () => {
  const before = await machine();
  const other = await startLab({ objects: async (site) => ControlPlane.start(site) });
  expect(processesOf(other.directory).length).toBeGreaterThan(4);
  other.stop();
  expect(processesOf(other.directory)).toEqual([]);
  expect(await machine()).toEqual(before);
});
