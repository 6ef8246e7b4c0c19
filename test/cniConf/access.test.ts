import { describe, expect, test } from 'vitest';
import { manifestObjects, type ManifestObject } from './manifests.ts';

const own = manifestObjects('kube-nwplcy.yaml');
const inFlannel = manifestObjects('flannel/access.yaml');
const forEvents = manifestObjects('denied-events.yaml');

test('the product is one namespace, one account, what that may do, and one DaemonSet', () => {
  expect(own.map(nameOf)).toEqual([
    'Namespace kube-nwplcy',
    'ServiceAccount kube-nwplcy/kube-nwplcy',
    'ClusterRole kube-nwplcy',
    'ClusterRoleBinding kube-nwplcy',
    'Role kube-nwplcy/kube-nwplcy',
    'RoleBinding kube-nwplcy/kube-nwplcy',
    'ValidatingAdmissionPolicy kube-nwplcy',
    'ValidatingAdmissionPolicyBinding kube-nwplcy',
    'DaemonSet kube-nwplcy/kube-nwplcy',
  ]);
});

describe.for([
  { file: 'kube-nwplcy.yaml', objects: own, account: 'kube-nwplcy:kube-nwplcy' },
  { file: 'flannel/access.yaml', objects: inFlannel, account: 'kube-flannel:flannel' },
])('in $file', ({ objects, account }) => {
  const [namespace, name] = account.split(':');

  test('an agent reads pods, namespaces and policies of the cluster, and no more', () => {
    expect(rulesOf(objects, 'ClusterRole')).toEqual([
      { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'list', 'watch'] },
    ]);
  });

  test('it writes ConfigMaps of its own namespace only, and deletes none', () => {
    expect(rulesOf(objects, 'Role')).toEqual([
      { apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'watch', 'create', 'update'] },
    ]);
  });

  test('nobody else is given this', () => {
    for (const kind of ['ClusterRoleBinding', 'RoleBinding']) {
      const binding = objects.find((object) => object.kind === kind);
      expect(binding?.['subjects']).toEqual([{ kind: 'ServiceAccount', name, namespace }]);
      expect(binding?.['roleRef']).toMatchObject({ kind: kind.replace('Binding', ''), name: 'kube-nwplcy' });
    }
  });

  test('the admission policy means this account', () => {
    const policy = objects.find(({ kind }) => kind === 'ValidatingAdmissionPolicy')?.['spec'] as {
      readonly variables: readonly { readonly name: string; readonly expression: string }[];
    };
    expect(policy.variables.find((variable) => variable.name === 'byAgent')?.expression).toBe(
      `request.userInfo.username == 'system:serviceaccount:${account}'`,
    );
  });
});

test('what lets agents write Events is apart, and lets the same account create them and no more', () => {
  expect(forEvents.map(nameOf)).toEqual([
    'ClusterRole kube-nwplcy-denied-events',
    'ClusterRoleBinding kube-nwplcy-denied-events',
  ]);
  expect(rulesOf(forEvents, 'ClusterRole')).toEqual([{ apiGroups: [''], resources: ['events'], verbs: ['create'] }]);
  expect(forEvents[1]).toMatchObject({
    roleRef: { kind: 'ClusterRole', name: 'kube-nwplcy-denied-events' },
    subjects: [{ kind: 'ServiceAccount', name: 'kube-nwplcy', namespace: 'kube-nwplcy' }],
  });
});

test("flannel's account may do what ours may", () => {
  const left = own.filter(({ kind }) => !['Namespace', 'ServiceAccount', 'DaemonSet'].includes(kind));
  const right = inFlannel.filter(({ kind }) => kind !== 'Namespace');
  expect(right.map(withoutAccount)).toEqual(left.map(withoutAccount));
});

function rulesOf(objects: readonly ManifestObject[], kind: string): unknown {
  return objects.find((object) => object.kind === kind)?.['rules'];
}

function nameOf({ kind, metadata: { name, namespace } }: ManifestObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function withoutAccount(object: ManifestObject): string {
  return JSON.stringify({ ...object, ...('subjects' in object && { subjects: [] }) }).replace(
    /system:serviceaccount:[a-z-]+:[a-z-]+/,
    '',
  );
}
