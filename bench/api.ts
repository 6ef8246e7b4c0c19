import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { Manifest } from '../test/lab/manifests.ts';
import type { AgentAccess, LabSite, PodObjects } from '../test/lab/podObjects.ts';
import type { PodManifest } from '../test/lab/manifests.ts';
import type { ApiProgramApi } from './apiProgram.ts';
import type { Objects } from './objects.ts';
import { Remote, type Operations } from './remote.ts';
import type { SourceProgramApi } from './sourceProgram.ts';

/** An API server on the measured node, of which the agent is the only client. */
export class BenchApi implements PodObjects, Objects {
  readonly remote: Remote<ApiProgramApi>;
  readonly #kubeconfig: string;
  readonly #site: LabSite;

  private constructor(remote: Remote<ApiProgramApi>, file: string, site: LabSite) {
    this.remote = remote;
    this.#kubeconfig = file;
    this.#site = site;
  }

  static async start(site: LabSite): Promise<BenchApi> {
    // It holds the objects of the whole cluster.
    const remote = program<ApiProgramApi>(site, ['--max-old-space-size=8192', 'apiProgram.ts']);
    const server = await remote.call('open', null);
    const file = join(site.directory, 'kubeconfig');
    writeFileSync(file, kubeconfig(server));
    return new BenchApi(remote, file, site);
  }

  /** Starts a source that follows all pods; returns it, and how long its first list took, in milliseconds. */
  async followAll(): Promise<{ readonly source: Remote<SourceProgramApi>; readonly milliseconds: number }> {
    const source = program<SourceProgramApi>(this.#site, ['sourceProgram.ts']);
    return { source, milliseconds: await source.call('follow', this.#kubeconfig) };
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

/** Runs a program of this directory in the node's network; the flags of Node come before it. */
function program<Api extends Operations<Api>>({ nodes, variables }: LabSite, args: readonly string[]): Remote<Api> {
  const file = join(import.meta.dirname, args.at(-1) ?? '');
  const enter = ['nsenter', `--net=/proc/${nodes[0]?.pid ?? 0}/ns/net`, '--'];
  return new Remote<Api>([...enter, execPath, ...args.slice(0, -1), file], variables);
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
