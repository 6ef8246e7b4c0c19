import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IpFamily } from '../../src/net/family.ts';
import { nodeAddress, nodeName, podCidr } from './addressing.ts';
import { CniRuntime, pathVariable, type JsonObject, type PluginConf, type RuntimeOptions } from './cniRuntime.ts';
import { cnitoolAttacher, type PodAttacher } from './cnitool.ts';
import { conflistFor, type PodNetworkMode } from './conflist.ts';
import { Daemon } from './daemon.ts';
import type { Party } from './matrix.ts';
import type { HeldNamespace } from './namespace.ts';
import { LabPod, type PodSpec } from './pod.ts';
import type { PodObjects } from './podObjects.ts';
import { monotonicMs, Probe } from './probe.ts';
import { output, runner, type Run, type RunResult } from './run.ts';
import { filesSnapshot, netfilterSnapshot } from './snapshot.ts';

/** What is the same for all nodes of a lab. */
export interface NodeEnvironment {
  readonly directory: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly objects: PodObjects;
  readonly probeProgram: string;
  readonly families: readonly IpFamily[];
  readonly mode: PodNetworkMode;
  readonly cniVersion: string;
  /** Where the plain plugins are. */
  readonly pluginDirectories: readonly string[];
  /** The product's executable, its keys in the conflist and its PATH; `undefined` for a lab without it. */
  readonly product: { readonly executable: string; readonly conflist: JsonObject; readonly path: string } | undefined;
  readonly cnitool: string | undefined;
  readonly listen: readonly number[];
}

/** A node: network and mount namespaces of its own, with real CNI plugins and, once started, an agent. */
export class LabNode implements Party {
  readonly name: string;
  readonly number: number;
  /** Holds the node's namespaces: `nsenter -t PID -m -n` is on the node. */
  readonly pid: number;
  readonly pods = new Set<LabPod>();
  readonly cni: CniRuntime;
  /** Runs a program on the node. */
  readonly run: Run;
  /** The product's runtimeDir as the node sees it; `inside(runtimeDir)` is the same for a test. */
  readonly runtimeDir = '/run/kube-nwplcy';
  readonly #enter: readonly string[];
  readonly #environment: NodeEnvironment;
  readonly #directory: string;
  readonly #attacher: PodAttacher;
  readonly #plainAttacher: PodAttacher;
  #probe: Probe | undefined;
  #namespaces = 0;

  constructor(number: number, held: HeldNamespace, environment: NodeEnvironment) {
    this.number = number;
    this.name = nodeName(number);
    this.pid = held.pid;
    this.#enter = held.enter;
    this.#environment = environment;
    this.#directory = join(environment.directory, this.name);
    this.run = runner(held.enter, environment.variables);
    const cni = this.#cniOptions();
    this.cni = new CniRuntime({ ...cni, cacheDirectory: join(this.#directory, 'cni-cache') });
    const plain = { ...cni, conflist: { ...cni.conflist, plugins: cni.conflist.plugins.slice(0, 1) } };
    this.#plainAttacher = new CniRuntime({ ...plain, cacheDirectory: join(this.#directory, 'plain-cni-cache') });
    const { cnitool } = environment;
    const directory = join(this.#directory, 'cni-conf');
    // libcni hands on its own environment, to all plugins.
    const run = runner(held.enter, { ...environment.variables, ...pathVariable(environment.product?.path) });
    this.#attacher = cnitool === undefined ? this.cni : cnitoolAttacher(cnitool, { ...cni, run, directory });
  }

  get key(): string {
    return this.name;
  }

  /** The node's own addresses on the wire. */
  get addresses(): readonly string[] {
    return this.#environment.families.map((family) => nodeAddress(this.number, family));
  }

  endpoint(address: string) {
    return { kind: 'node', nodeName: this.name, address } as const;
  }

  /** A probe in the node's own network namespace. It listens to nothing until told. */
  get probe(): Probe {
    this.#probe ??= this.#startProbe(this.name, `/proc/${this.pid}/ns/net`);
    return this.#probe;
  }

  /** The probes that run on the node, its pods' and its own. */
  get probes(): readonly Probe[] {
    const own = this.#probe === undefined ? [] : [this.#probe];
    return [...own, ...[...this.pods].map((pod) => pod.probe)];
  }

  /** Returns the path by which this process reaches what the node has at `path`. */
  inside(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Makes a pod's namespace with its probe, as yet without an interface. */
  async createPod(spec: PodSpec): Promise<LabPod> {
    const netns = `/run/netns/pod-${++this.#namespaces}`;
    writeFileSync(this.inside(netns), '');
    await output(this.run, ['unshare', `--net=${netns}`, 'sh', join(import.meta.dirname, 'pod.sh')]);
    const probe = this.#startProbe(`${spec.namespace}/${spec.name}`, this.inside(netns));
    const listen = () => probe.listen(this.#environment.listen, { addresses: this.#wildcards() });
    if (spec.listens !== false) await listen();
    const pod: LabPod = new LabPod(spec, {
      nodeName: this.name,
      netns,
      probe,
      listen,
      run: runner(
        ['nsenter', `--mount=/proc/${this.pid}/ns/mnt`, `--net=${this.inside(netns)}`, '--'],
        this.#environment.variables,
      ),
      attacher: spec.plain === true ? this.#plainAttacher : this.#attacher,
      objects: this.#environment.objects,
      dispose: async () => {
        this.pods.delete(pod);
        await probe.stop();
        await output(this.run, ['umount', '--lazy', netns]);
        rmSync(this.inside(netns));
      },
    });
    this.pods.add(pod);
    return pod;
  }

  /** Makes a pod and attaches it. Throws the `CniFailure` of a failed ADD and leaves no pod then. */
  async addPod(spec: PodSpec): Promise<LabPod> {
    const pod = await this.createPod(spec);
    await pod.attach().catch(async (error: unknown) => {
      await pod.delete();
      throw error;
    });
    return pod;
  }

  /**
   * Starts the agent and returns once it answers `sync`. `args` are further flags of `agent`; what is in `tools`, a directory, it runs instead
   * of the machine's programs.
   */
  async startAgent(args: readonly string[] = [], { tools }: { readonly tools?: string } = {}): Promise<Daemon> {
    const agent = this.launchAgent(args, tools === undefined ? {} : { tools });
    for (const deadline = monotonicMs() + 15_000; (await this.product(['sync', '--timeout', '5s'])).exitCode !== 0;) {
      if (!agent.isRunning || monotonicMs() > deadline)
        throw new Error(`Cannot start the agent of ${this.name}: its log ends with:\n${agent.log().slice(-2000)}`);
      await sleep(50);
    }
    return agent;
  }

  /** Starts the agent and returns at once. */
  launchAgent(args: readonly string[] = [], { tools }: { readonly tools?: string } = {}): Daemon {
    const { variables, objects } = this.#environment;
    const access = objects.agentAccess(this.name);
    const flags = ['--node-name', this.name, ...access.flags, '--runtime-dir', this.runtimeDir, ...args];
    const { executable, path } = this.#product();
    const environment = {
      ...variables,
      PATH: tools === undefined ? path : `${tools}:${path}`,
      ...access.environment,
    };
    return new Daemon([...this.#enter, executable, 'agent', ...flags], {
      environment,
      logFile: join(this.#directory, 'agent.log'),
    });
  }

  /** Runs a command of the product's command line on the node, with the node's runtimeDir. */
  async product(args: readonly string[]): Promise<RunResult> {
    const { executable, path } = this.#product();
    return this.run([executable, ...args, '--runtime-dir', this.runtimeDir], { env: { PATH: path } });
  }

  /** Returns once the kernel holds what the source says now; throws with what `sync` said if it does not. */
  async sync(): Promise<void> {
    const { exitCode, stdout, stderr } = await this.product(['sync', '--timeout', '10s']);
    if (exitCode !== 0) throw new Error(`Cannot sync ${this.name}: "sync" ended with ${exitCode}: ${stdout}${stderr}`);
  }

  /** Returns all that the product may have changed on the node, for a comparison: netfilter in both worlds, and runtimeDir. */
  async snapshot(): Promise<Readonly<Record<string, string>>> {
    return { ...(await netfilterSnapshot(this.run)), ...filesSnapshot(this.inside(this.runtimeDir)) };
  }

  #cniOptions(): Omit<RuntimeOptions, 'cacheDirectory'> {
    const { product, pluginDirectories, mode, cniVersion, families } = this.#environment;
    const chained: readonly PluginConf[] =
      product === undefined ? [] : [{ type: 'kube-nwplcy', runtimeDir: this.runtimeDir, ...product.conflist }];
    const podCidrs = families.map((family) => podCidr(this.number, family));
    return {
      run: this.run,
      programPaths: product === undefined ? {} : { 'kube-nwplcy': product.path },
      path: product === undefined ? pluginDirectories : [dirname(product.executable), ...pluginDirectories],
      conflist: { ...conflistFor(mode, { podCidrs, chained }), cniVersion },
    };
  }

  #startProbe(name: string, netns: string): Probe {
    const program = [process.execPath, this.#environment.probeProgram, name];
    return new Probe(['nsenter', `--net=${netns}`, '--', ...program], this.#environment.variables);
  }

  #wildcards(): readonly string[] {
    return this.#environment.families.map((family) => (family === 'ipv4' ? '0.0.0.0' : '::'));
  }

  #product(): NonNullable<NodeEnvironment['product']> {
    const { product } = this.#environment;
    if (product === undefined) throw new Error('Cannot run the product: the lab was started without it');
    return product;
  }
}
