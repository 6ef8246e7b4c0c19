import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '../cluster/controlPlane.ts';
import { kubeconfig } from '../cluster/kubeconfig.ts';
import type { RuntimeNode } from '../runtime/runtimeNode.ts';

const ACCOUNT = { namespace: 'kube-system', name: 'kubelet' };

/** Gives the node's kubelet an account that may do everything, and returns the path of its kubeconfig. */
export async function kubeletKubeconfig({ lab, node }: RuntimeNode, { admin }: ControlPlane): Promise<string> {
  await admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: ACCOUNT });
  await admin.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'kubelet' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', ...ACCOUNT }],
  });
  const path = `/api/v1/namespaces/${ACCOUNT.namespace}/serviceaccounts/${ACCOUNT.name}/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = (await admin.request('POST', path, request)) as { readonly status: { readonly token: string } };
  const file = join(lab.directory, `${node.name}.kubelet.kubeconfig`);
  writeFileSync(file, kubeconfig({ ...agentsCluster(join(lab.directory, `${node.name}.kubeconfig`)), ...status }));
  return file;
}

/** Returns where the API server is, from the kubeconfig of the node's agent. */
function agentsCluster(path: string): { readonly server: string; readonly ca: string } {
  const { clusters } = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly clusters: readonly [
      { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
    ];
  };
  const { server, 'certificate-authority-data': certificate } = clusters[0].cluster;
  return { server, ca: Buffer.from(certificate, 'base64').toString('utf8') };
}
