import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { Remote } from '../../../bench/remote.ts';
import type { LabSite, PodObjects } from '../../lab/podObjects.ts';
import type { ChurnApi } from './program.ts';

/** An API server on the first node, which only what is on that node reaches. */
export class ChurnServer {
  readonly remote: Remote<ChurnApi>;
  readonly #kubeconfig: string;

  private constructor(remote: Remote<ChurnApi>, kubeconfig: string) {
    this.remote = remote;
    this.#kubeconfig = kubeconfig;
  }

  static async start({ nodes, directory, variables }: LabSite, seed: number): Promise<ChurnServer> {
    const enter = ['nsenter', `--net=/proc/${nodes[0]?.pid ?? 0}/ns/net`, '--'];
    const remote = new Remote<ChurnApi>([...enter, execPath, join(import.meta.dirname, 'program.ts')], variables);
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(kubeconfig, kubeconfigFor(await remote.call('open', { seed })));
    return new ChurnServer(remote, kubeconfig);
  }

  /** Returns where a lab's agents look. Nobody else than the churn makes objects. */
  podObjects(): PodObjects {
    return {
      agentAccess: () => ({ flags: ['--source', 'kube', '--kubeconfig', this.#kubeconfig] }),
      createPod: async (pod) => Promise.resolve(pod.metadata.uid),
      publishPod: async () => {},
      deletePod: async () => {},
    };
  }
}

function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'churn', cluster: { server } }],
    users: [{ name: 'agent', user: {} }],
    contexts: [{ name: 'churn', context: { cluster: 'churn', user: 'agent' } }],
    'current-context': 'churn',
  });
}
