import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IP_FAMILIES, type IpFamily } from '../../src/net/family.ts';
import { loadBridgeNetfilter } from './bridgeNetfilter.ts';
import type { JsonObject } from './cniRuntime.ts';
import type { PodNetworkMode } from './conflist.ts';
import { nodeName } from './addressing.ts';
import { LabHost } from './host.ts';
import { claimLab, keepLab, removeLab, type Claim } from './leftovers.ts';
import { Manifests } from './manifests.ts';
import { holdNamespace } from './namespace.ts';
import { LabNode, type NodeEnvironment } from './node.ts';
import { pathWithout } from './pathWithout.ts';
import type { LabSite, PodObjects } from './podObjects.ts';
import { buildProbe, Probe } from './probe.ts';
import { labEnvironment, runner } from './run.ts';
import { Wire } from './wire.ts';

export interface LabOptions {
  /** One if not given. */
  readonly nodes?: number;
  /** `bridge` if not given. */
  readonly mode?: PodNetworkMode;
  /** Both if not given. */
  readonly families?: readonly IpFamily[];
  /** `1.0.0` if not given: the latest that the plugins of Debian 12 know. */
  readonly cniVersion?: string;
  /** The ports at which all pods and hosts answer, TCP and UDP; 80 if not given. */
  readonly listen?: readonly number[];
  /** The product, chained after the main plugin. Without it, pods have the main plugin's network and nothing else. */
  readonly product?: ProductOptions;
  /** The path of cnitool, if that is to attach the pods, and not `CniRuntime`. */
  readonly cnitool?: string;
  /** Makes, once there are nodes, where pods are announced and agents look; `Lab.manifests` if not given. */
  readonly objects?: (site: LabSite) => Promise<PodObjects>;
}

export interface ProductOptions {
  /** `dist/kube-nwplcy` of this repository if not given. */
  readonly executable?: string;
  /** Further keys of its part of the conflist. */
  readonly conflist?: JsonObject;
  /** The names of programs that are not on the PATH of its processes; those of tests and of other plugins have them. */
  readonly withoutPrograms?: RegExp;
}

/**
 * Makes a cluster of network namespaces on this machine: nodes joined by a wire, each with network, mounts and netfilter of its own. Nothing of
 * it is in the machine's own namespaces. It is gone after `stop`, at the latest when this process ends. Needs root.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  await loadBridgeNetfilter();
  const claim = claimLab();
  try {
    return await assemble(claim, options);
  } catch (error) {
    removeLab(claim.id);
    throw error;
  }
}

async function assemble(claim: Claim, options: LabOptions): Promise<Lab> {
  const { nodes: count = 1, families = IP_FAMILIES } = options;
  const variables = labEnvironment(claim.id);
  const [probeProgram, wire, ...held] = await Promise.all([
    buildProbe(claim.directory),
    Wire.make(families, variables),
    ...Array.from({ length: count }, (_, index) => holdNode(join(claim.directory, nodeName(index + 1)), variables)),
  ]);
  const ends = held.map(({ pid, enter }) => ({ pid, run: runner(enter, variables) }));
  for (const [index, end] of ends.entries()) await wire.joinNode(end, { number: index + 1, of: count });
  const manifests = new Manifests(claim.directory);
  const objects = await options.objects?.({
    nodes: ends.map(({ pid }, index) => ({ name: nodeName(index + 1), pid })),
    directory: claim.directory,
    variables,
    join: (end, addresses) => wire.joinHost(end, { name: 'site', addresses, nodes: ends }),
  });
  const environment = nodeEnvironment(options, {
    directory: claim.directory,
    objects: objects ?? manifests,
    variables,
    probeProgram,
  });
  const nodes = held.map((namespace, index) => new LabNode(index + 1, namespace, environment));
  return new Lab(claim, { nodes, wire, manifests, environment });
}

async function holdNode(directory: string, environment: Readonly<Record<string, string>>) {
  await mkdir(directory);
  const script = join(import.meta.dirname, 'node.sh');
  return holdNamespace(['sh', script, directory], { mounts: true, environment });
}

function nodeEnvironment(
  { families = IP_FAMILIES, mode = 'bridge', cniVersion = '1.0.0', listen = [80], product, cnitool }: LabOptions,
  given: Pick<NodeEnvironment, 'directory' | 'objects' | 'variables' | 'probeProgram'>,
): NodeEnvironment {
  return {
    ...given,
    families,
    mode,
    cniVersion,
    listen,
    cnitool,
    pluginDirectories: ['/usr/lib/cni', '/opt/cni/bin'].filter((path) => existsSync(path)),
    product: product && labProduct(product, given),
  };
}

function labProduct(
  {
    executable = resolve(import.meta.dirname, '../../dist/kube-nwplcy'),
    conflist = {},
    withoutPrograms,
  }: ProductOptions,
  { directory, variables }: Pick<NodeEnvironment, 'directory' | 'variables'>,
): NonNullable<NodeEnvironment['product']> {
  const path = variables['PATH'] ?? '';
  if (withoutPrograms === undefined) return { executable, conflist, path };
  return { executable, conflist, path: pathWithout(withoutPrograms, { path, directory: join(directory, 'programs') }) };
}

/** A running cluster. */
export class Lab {
  readonly nodes: readonly LabNode[];
  /** What agents see; with `objects` in the options, nobody looks at it. */
  readonly manifests: Manifests;
  /** Logs and manifests are here until `stop`. */
  readonly directory: string;
  readonly #id: string;
  readonly #wire: Wire;
  readonly #environment: NodeEnvironment;
  readonly #hosts: LabHost[] = [];

  constructor(
    { id, directory }: Claim,
    parts: {
      readonly nodes: readonly LabNode[];
      readonly wire: Wire;
      readonly manifests: Manifests;
      readonly environment: NodeEnvironment;
    },
  ) {
    this.nodes = parts.nodes;
    this.manifests = parts.manifests;
    this.directory = directory;
    this.#id = id;
    this.#wire = parts.wire;
    this.#environment = parts.environment;
  }

  /** Returns the node of this number; the first has 1. */
  node(number: number): LabNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`Cannot find node ${number}: the lab has ${this.nodes.length}`);
    return node;
  }

  /** Puts a Namespace object in place. */
  applyNamespace(name: string, labels: Readonly<Record<string, string>> = {}): void {
    this.manifests.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  }

  /** Makes a host outside the cluster with any addresses one likes. Nodes and pods reach it, and it reaches them. */
  async addHost(name: string, addresses: readonly string[]): Promise<LabHost> {
    const { variables, probeProgram, listen } = this.#environment;
    const script = join(import.meta.dirname, 'host.sh');
    const held = await holdNamespace(['sh', script], { mounts: false, environment: variables });
    const end = { pid: held.pid, run: runner(held.enter, variables) };
    await this.#wire.joinHost(end, { name: `host-${this.#hosts.length + 1}`, addresses, nodes: this.nodes });
    const probe = new Probe([...held.enter, process.execPath, probeProgram, name], variables);
    await probe.listen(listen, { addresses });
    const host = new LabHost(name, { addresses, probe });
    this.#hosts.push(host);
    return host;
  }

  /** Returns once every node's kernel holds what the manifests, or the API server, say now. */
  async sync(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.sync()));
  }

  /** Lets the cluster with its listeners outlive this process, until `removeKeptLabs`. */
  async keep(): Promise<void> {
    keepLab(this.#id);
    const probes = [...this.nodes.flatMap((node) => node.probes), ...this.#hosts.map((host) => host.probe)];
    await Promise.all(probes.map((probe) => probe.keep()));
  }

  stop(): void {
    removeLab(this.#id);
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
