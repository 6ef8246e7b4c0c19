import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manifestObjects, type ManifestObject } from '../cniConf/manifests.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { Manifest } from '../lab/manifests.ts';
import { ApiError, type ApiClient } from './apiClient.ts';
import { ControlPlane } from './controlPlane.ts';

// cni-conf as a real API server sees it: RBAC is on, and the objects of kube-nwplcy.yaml but for the DaemonSet are in place.

const NAMESPACE = 'kube-nwplcy';
const OURS = { 'app.kubernetes.io/managed-by': 'kube-nwplcy' };

let lab: Lab;
let api: ControlPlane;
let agent: ApiClient;
/** A ServiceAccount of the agents' namespace that may do everything with ConfigMaps there. */
let other: ApiClient;

beforeAll(async () => {
  lab = await startLab({ nodes: 2, mode: 'ptp', objects: async (site) => (api = await ControlPlane.start(site)) });
  agent = api.admin.withToken(api.account.token('node-1'));
  for (const object of others()) await api.admin.apply(object);
  other = api.admin.withToken(await tokenOf('other'));
});
afterAll(() => lab.stop());

describe.for(['kube-nwplcy.yaml', 'cleanup.yaml', 'denied-events.yaml', 'flannel/access.yaml'])('%s', (file) => {
  test('is accepted as it is, without an unknown field', async () => {
    await api.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-flannel' } });
    const objects = manifestObjects(file);
    expect(await Promise.all(objects.map(dryRun))).toEqual(objects.map(({ metadata: { name } }) => name));
  });
});

test('the admission policy is one that the API server can evaluate', async () => {
  await expect.poll(async () => refusal(writeAs(agent, 'node-2'))).toMatch('named as its node');
});

test('an agent may do what it does, and nothing else', async () => {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace: NAMESPACE },
  };
  const { status } = (await agent.request('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', review)) as {
    readonly status: { readonly resourceRules: readonly { verbs: string[]; resources: string[] }[] };
  };
  const rules = status.resourceRules.map(({ verbs, resources }) => `${resources.join()}: ${verbs.join()}`);
  expect(rules.filter((rule) => !rule.startsWith('selfsubject')).toSorted()).toEqual([
    'configmaps: list,watch,create,update',
    'networkpolicies: get,list,watch',
    'pods,namespaces: get,list,watch',
  ]);
});

test("an agent writes its own node's ConfigMap, with its label, and no other", async () => {
  await writeAs(agent, 'node-1');
  await replaceAs(agent, configMap('node-1', OURS));
  expect(await refusal(writeAs(agent, 'node-2'))).toMatch('named as its node');
  expect(await refusal(writeAs(agent, 'anything', {}))).toMatch('named as its node');
  expect(await refusal(replaceAs(agent, configMap('node-1')))).toMatch('named as its node');
  expect(await refusal(agent.delete(configMap('node-1')))).toMatch('cannot delete');
});

test('a token that names no node writes none', async () => {
  const unbound = api.admin.withToken(await tokenOf(NAMESPACE));
  expect(await refusal(writeAs(unbound, 'node-2'))).toMatch('named as its node');
});

test('nobody else writes what agents tell each other, nor takes it from them', async () => {
  await api.admin.delete(configMap('node-1'));
  await writeAs(agent, 'node-1');
  for (const client of [other, api.admin]) {
    expect(await refusal(writeAs(client, 'node-2'))).toMatch('Only the agents');
    expect(await refusal(client.patch(configMap('node-1'), { data: { uid: '10.0.0.1' } }))).toMatch('Only the agents');
    expect(await refusal(client.patch(configMap('node-1'), { metadata: { labels: null } }))).toMatch('Only the agents');
  }
});

test('others keep their own ConfigMaps there, and cannot pass them off as ours', async () => {
  await writeAs(other, 'kube-root-ca.crt', {});
  expect(await refusal(other.patch(configMap('kube-root-ca.crt'), { metadata: { labels: OURS } }))).toMatch(
    'Only the agents',
  );
});

test('an administrator removes what a node has left', async () => {
  await api.admin.delete(configMap('node-1'));
  expect(await refusal(api.admin.get(configMap('node-1')))).toMatch('not found');
});

function configMap(name: string, labels?: Readonly<Record<string, string>>) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name, ...(labels && { labels }) } };
}

function others(): readonly Manifest[] {
  const metadata = { namespace: NAMESPACE, name: 'other' };
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { ...rbac, kind: 'Role', rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }] },
    {
      ...rbac,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'other' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
  ];
}

async function tokenOf(account: string): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = (await api.admin.request('POST', path, request)) as { readonly status: { token: string } };
  return status.token;
}

async function writeAs(client: ApiClient, name: string, labels: Readonly<Record<string, string>> = OURS) {
  return client.create({ ...configMap(name, labels), data: { uid: '10.244.0.1' } });
}

async function replaceAs(client: ApiClient, object: Manifest) {
  return client.request('PUT', `/api/v1/namespaces/${NAMESPACE}/configmaps/${object.metadata.name}`, object);
}

/** Returns why the API server refused, or `undefined` when it did not. */
async function refusal(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

/** Returns the name that the API server would store, made or changed. */
async function dryRun(object: ManifestObject): Promise<string> {
  const { apiVersion, kind, metadata } = object;
  const prefix = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  const collection = `${prefix}${scope}/${kind.toLowerCase().replace(/y$/, 'ie')}s`;
  const query = 'dryRun=All&fieldValidation=Strict';
  try {
    await api.admin.request('POST', `${collection}?${query}`, object);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    await api.admin.request('PATCH', `${collection}/${metadata.name}?${query}`, object);
  }
  return metadata.name;
}
