/** Returns a kubeconfig of one cluster and one user. */
export function kubeconfig({ server, ca, token }: { server: string; ca: string; token: string }): string {
  const certificate = Buffer.from(ca).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server, 'certificate-authority-data': certificate } }],
    users: [{ name: 'agent', user: { token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'agent' } }],
    'current-context': 'lab',
  });
}
