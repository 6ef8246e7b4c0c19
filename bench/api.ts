import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { Manifest } from '../test/lab/manifests.ts';
import type { AgentAccess, LabSite, PodObjects } from '../test/lab/podObjects.ts';
import type { PodManifest } from '../test/lab/manifests.ts';
import type { ApiProgramApi } from './apiProgram.ts';
import type { Objects } from './objects.ts';
import { Remote } from './remote.ts';

/** An API server on the measured node, of which the agent is the only client. */
export class BenchApi implements PodObjects, Objects {
  readonly remote: Remote<ApiProgramApi>;
  readonly #kubeconfig: string;

  private constructor(remote: Remote<ApiProgramApi>, file: string) {
    this.remote = remote;
    this.#kubeconfig = file;
  }

  static async start({ nodes, directory, variables }: LabSite): Promise<BenchApi> {
    const pid = nodes[0]?.pid ?? 0;
    const program = [execPath, join(import.meta.dirname, 'apiProgram.ts')];
    const remote = new Remote<ApiProgramApi>(['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...program], variables);
    const server = await remote.call('open', null);
    const file = join(directory, 'kubeconfig');
    writeFileSync(file, kubeconfig(server));
    return new BenchApi(remote, file);
  }

  agentAccess(): AgentAccess {
    return { flags: ['--source', 'kube', '--kubeconfig', this.#kubeconfig] };
  }

  async load(_name: string, objects: readonly Manifest[]): Promise<void> {
    await this.remote.call('put', objects);
  }

  async unload(_name: string, objects: readonly Manifest[]): Promise<void> {
    for (const object of objects) await this.delete(object);
  }

  async put(object: Manifest): Promise<number> {
    return this.remote.call('put', [object]);
  }

  async delete({ kind, metadata: { namespace, name } }: Manifest): Promise<number> {
    return this.remote.call('delete', { kind, key: namespace === undefined ? name : `${namespace}/${name}` });
  }

  async createPod(pod: PodManifest): Promise<string> {
    await this.put(pod);
    return pod.metadata.uid;
  }

  async publishPod(pod: PodManifest): Promise<void> {
    await this.put(pod);
  }

  async deletePod(pod: PodManifest): Promise<void> {
    await this.delete(pod);
  }
}

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster: { server } }],
    users: [{ name: 'agent', user: {} }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'agent' } }],
    'current-context': 'bench',
  });
}
