import type { Backend } from '../../src/dataplane/backend.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import type { Daemon } from '../lab/daemon.ts';
import { startLab, type Lab, type LabOptions } from '../lab/lab.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabPod } from '../lab/pod.ts';
import { backendUnderTest, productOf } from './backend.ts';

export interface ClusterOptions extends Omit<LabOptions, 'product'> {
  /** `backendUnderTest` if not given. */
  readonly backend?: Backend;
  /** Further keys of the product's part of the conflist. */
  readonly conflist?: JsonObject;
}

export interface AgentOptions {
  readonly args?: readonly string[];
  readonly tools?: string;
}

/** A lab with the product on every node. */
export class ProductCluster {
  readonly lab: Lab;
  readonly #backend: Backend;
  readonly #agents: Daemon[];

  private constructor(lab: Lab, parts: { readonly backend: Backend; readonly agents: Daemon[] }) {
    this.lab = lab;
    this.#backend = parts.backend;
    this.#agents = parts.agents;
  }

  /** Starts a lab with an agent on each node. */
  static async start(options: ClusterOptions = {}): Promise<ProductCluster> {
    const { backend = backendUnderTest, conflist, ...lab } = options;
    const started = await startLab({ ...lab, product: productOf(backend, conflist) });
    try {
      const cluster = new ProductCluster(started, { backend, agents: [] });
      await Promise.all(started.nodes.map(async (node) => cluster.startAgent(node.number)));
      return cluster;
    } catch (error) {
      started.stop();
      throw error;
    }
  }

  /** Returns the agent that was started last on the node of this number. */
  agent(number: number): Daemon {
    const agent = this.#agents[number];
    if (agent === undefined) throw new Error(`Cannot find an agent of node ${number}: none was started`);
    return agent;
  }

  /** Starts an agent on a node and returns once it answers `sync`. `args` are further flags of `agent`. */
  async startAgent(number: number, { args = [], ...options }: AgentOptions = {}): Promise<Daemon> {
    const agent = await this.lab.node(number).startAgent(['--backend', this.#backend, ...args], options);
    this.#agents[number] = agent;
    return agent;
  }

  /** Starts an agent on a node and returns at once. */
  launchAgent(number: number, { args = [], ...options }: AgentOptions = {}): Daemon {
    const agent = this.lab.node(number).launchAgent(['--backend', this.#backend, ...args], options);
    this.#agents[number] = agent;
    return agent;
  }

  [Symbol.dispose](): void {
    this.lab.stop();
  }
}

/** Returns the manifest of a pod before its ADD, for one whose spec has `manifest: false`; with `addresses` after it. */
export function podManifest(
  pod: LabPod,
  { nodeName, labels = {} }: { readonly nodeName: string; readonly labels?: Readonly<Record<string, string>> },
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: pod.namespace, name: pod.name, uid: pod.uid, labels },
    spec: { nodeName, containers: [{ name: 'main', image: 'none' }] },
    status: { phase: pod.addresses.length === 0 ? 'Pending' : 'Running', podIPs: pod.addresses.map((ip) => ({ ip })) },
  };
}

/** Returns the manifest of a NetworkPolicy from its key, `namespace/name`. */
export function policy(key: string, spec: Readonly<Record<string, unknown>>): Manifest {
  const [namespace = '', name = ''] = key.split('/');
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name }, spec };
}
