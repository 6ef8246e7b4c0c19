import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../src/kube/cluster.ts';
import { clusterOf } from '../helpers/manifests.ts';
import { Daemon } from '../lab/daemon.ts';
import type { PodManifest } from '../lab/manifests.ts';
import { holdNamespace } from '../lab/namespace.ts';
import type { AgentAccess, LabSite, PodObjects } from '../lab/podObjects.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output, runner, type Run } from '../lab/run.ts';
import { AgentAccount } from './agentAccount.ts';
import { ApiClient, ApiError } from './apiClient.ts';
import { ControlPlaneFiles } from './controlPlaneFiles.ts';
import { compactEtcd } from './etcdCompaction.ts';
import { Forwarder } from './forwarder.ts';
import { kubeconfig } from './kubeconfig.ts';

/** Where it is on the wire. */
const ADDRESS = '10.250.0.250';
const PORTS = { first: 6443, second: 6444, balancer: 7443 } as const;
const ETCD = '127.0.0.1:2379';

export type ApiServerName = 'first' | 'second';

export interface ControlPlaneOptions {
  /** `true`: agents reach API servers by a balancer that looks at nothing above TCP, and that `balance` turns to one or the other. */
  readonly balanced?: boolean;
  /** `true`: agents find the API server as a pod does, by environment and mounted files, and not by a kubeconfig. */
  readonly inCluster?: boolean;
}

/**
 * etcd and kube-apiserver in a place of their own on a lab's wire, which nodes reach by an address and this process by unix sockets in the lab's
 * directory. Their data is in memory and goes with the lab.
 */
export class ControlPlane implements PodObjects {
  /** May do everything. */
  readonly admin: ApiClient;
  /** Runs a program beside the API server. */
  readonly run: Run;
  readonly #site: LabSite;
  readonly #options: ControlPlaneOptions;
  readonly #enter: readonly string[];
  readonly #files: ControlPlaneFiles;
  readonly #forwarder: Forwarder;
  readonly #daemons = new Map<ApiServerName | 'etcd', Daemon>();
  #account: AgentAccount | undefined;

  private constructor(
    site: LabSite,
    parts: {
      readonly options: ControlPlaneOptions;
      readonly enter: readonly string[];
      readonly files: ControlPlaneFiles;
    },
  ) {
    this.#site = site;
    this.#options = parts.options;
    this.#enter = parts.enter;
    this.#files = parts.files;
    this.run = runner(parts.enter, site.variables);
    this.#forwarder = new Forwarder(parts.enter, site.variables);
    this.admin = new ApiClient({
      socketPath: this.#socket('api'),
      ca: () => this.#files.certificate,
      token: parts.files.adminToken,
    });
  }

  /** Starts both and returns once the API server is ready and holds the agents' account. */
  static async start(site: LabSite, options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const directory = join(site.directory, 'control-plane');
    mkdirSync(directory);
    const script = join(import.meta.dirname, 'controlPlane.sh');
    const held = await holdNamespace(['sh', script, directory], { mounts: true, environment: site.variables });
    await site.join({ pid: held.pid, run: runner(held.enter, site.variables) }, [ADDRESS]);
    const files = new ControlPlaneFiles(directory, { fromHere: `/proc/${held.pid}/root${directory}` });
    const controlPlane = new ControlPlane(site, { options, enter: held.enter, files });
    await controlPlane.#open();
    return controlPlane;
  }

  /** The agents' ServiceAccount. */
  get account(): AgentAccount {
    if (this.#account === undefined)
      throw new Error('Cannot name the account of the agents: the API server never was ready');
    return this.#account;
  }

  /** Returns an API server, to kill, pause and resume. */
  apiServer(name: ApiServerName = 'first'): Daemon {
    return this.#daemon(name);
  }

  /** Starts an API server, the first again or the second beside it, and returns once it is ready. */
  async startApiServer(name: ApiServerName = 'first'): Promise<void> {
    const argv = this.#files.apiServerArgv({ address: ADDRESS, port: PORTS[name], etcdEndpoint: ETCD });
    const daemon = this.#start(name, argv);
    await this.#forwarder.forward({ from: this.#socket(name), to: `127.0.0.1:${PORTS[name]}` });
    const client = this.admin.through(this.#socket(name));
    for (const deadline = monotonicMs() + 90_000; !(await isReady(client)); await sleep(50))
      if (!daemon.isRunning || monotonicMs() > deadline)
        throw new Error(`Cannot start kube-apiserver: its log ends with:\n${daemon.log().slice(-2000)}`);
  }

  /** Turns the balancer, and `admin`, to an API server; connections to the other one are cut. */
  async balance(name: ApiServerName): Promise<void> {
    const to = `127.0.0.1:${PORTS[name]}`;
    await this.#forwarder.forward({ from: this.#socket('api'), to });
    await this.#forwarder.forward({ from: `0.0.0.0:${PORTS.balancer}`, to });
  }

  /** Returns etcd, to kill, pause and resume. */
  get etcd(): Daemon {
    return this.#daemon('etcd');
  }

  startEtcd(): void {
    this.#start('etcd', this.#files.etcdArgv(ETCD));
  }

  /** Removes from etcd all history before now: nobody can watch on from an older resourceVersion once the API server was started again. */
  async compact(): Promise<void> {
    await compactEtcd(this.#socket('etcd'));
  }

  /** Drops without a word all packets to and from the wire, until `reconnect`. */
  async cutOff(): Promise<void> {
    await this.#drop('iifname eth0', 'oifname eth0');
  }

  /** Drops without a word all packets of the connections that agents have now, until `reconnect`: nobody is told that they are dead. */
  async freezeConnections(): Promise<void> {
    const lines = (await output(this.run, ['ss', '-Htn', 'state', 'established', 'dst', '10.250.0.0/24'])).split('\n');
    const ports = lines.flatMap((line) => /:(\d+)\s*$/.exec(line)?.[1] ?? []).join(', ');
    if (ports !== '') await this.#drop(`iifname eth0 tcp sport { ${ports} }`, `oifname eth0 tcp dport { ${ports} }`);
  }

  async reconnect(): Promise<void> {
    await output(this.run, ['nft', '-f', '-'], { input: 'table inet cut {}; delete table inet cut' });
  }

  /** Returns what the API server holds now, as every source decodes it. */
  async cluster(): Promise<Cluster> {
    const kinds = [
      { apiVersion: 'v1', kind: 'Namespace' },
      { apiVersion: 'v1', kind: 'Pod' },
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
    ];
    return clusterOf((await Promise.all(kinds.map(async (kind) => this.admin.list(kind)))).flat());
  }

  agentAccess(nodeName: string): AgentAccess {
    const { balanced = false, inCluster = false } = this.#options;
    const port = balanced ? PORTS.balancer : PORTS.first;
    const environment = { KUBERNETES_SERVICE_HOST: ADDRESS, KUBERNETES_SERVICE_PORT: `${port}` };
    if (inCluster) return { flags: ['--source', 'kube'], environment };
    return { flags: ['--source', 'kube', '--kubeconfig', this.#kubeconfig(nodeName)] };
  }

  /** Gives a node's agent another token, as the kubelet does well before the last one ends. */
  giveToken(nodeName: string, token: string): void {
    const { balanced = false } = this.#options;
    const port = balanced ? PORTS.balancer : PORTS.first;
    const ca = this.#files.certificate ?? '';
    const server = `https://${ADDRESS}:${port}`;
    replaceFile(this.#kubeconfig(nodeName), kubeconfig({ server, ca, token }));
    const node = this.#site.nodes.find(({ name }) => name === nodeName);
    const mounted = `/proc/${node?.pid}/root/run/secrets/kubernetes.io/serviceaccount`;
    mkdirSync(mounted, { recursive: true });
    for (const [name, text] of Object.entries({ 'ca.crt': ca, token })) replaceFile(join(mounted, name), text);
  }

  async createPod(pod: PodManifest): Promise<string> {
    const { namespace } = pod.metadata;
    const made = await this.admin.create(pod).catch(async (error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409) return this.admin.get(pod);
      if (error.status !== 404) throw error;
      await this.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      return this.admin.create(pod);
    });
    return made.metadata.uid;
  }

  async publishPod(pod: PodManifest): Promise<void> {
    await this.admin.patch(pod, { status: pod['status'] }, 'status');
  }

  async deletePod(pod: PodManifest): Promise<void> {
    await this.admin.delete(pod);
  }

  async #open(): Promise<void> {
    await this.#forwarder.forward({ from: this.#socket('etcd'), to: ETCD });
    await this.balance('first');
    this.startEtcd();
    await this.startApiServer();
    const nodeNames = this.#site.nodes.map(({ name }) => name);
    this.#account = await AgentAccount.create(this.admin, { key: this.#files.tokenKey, nodeNames });
    for (const nodeName of nodeNames) this.giveToken(nodeName, this.account.token(nodeName));
  }

  async #drop(incoming: string, outgoing: string): Promise<void> {
    const rules = `table inet cut {
      chain in { type filter hook input priority 0; ${incoming} drop; }
      chain out { type filter hook output priority 0; ${outgoing} drop; }
    }`;
    await output(this.run, ['nft', '-f', '-'], { input: rules });
  }

  #start(name: ApiServerName | 'etcd', argv: readonly string[]): Daemon {
    const logFile = join(this.#site.directory, `${name}.log`);
    const daemon = new Daemon([...this.#enter, ...argv], { environment: this.#site.variables, logFile });
    this.#daemons.set(name, daemon);
    return daemon;
  }

  #daemon(name: ApiServerName | 'etcd'): Daemon {
    const daemon = this.#daemons.get(name);
    if (daemon === undefined) throw new Error(`Cannot find "${name}": it was not started`);
    return daemon;
  }

  #socket(name: string): string {
    return join(this.#site.directory, `${name}.sock`);
  }

  #kubeconfig(nodeName: string): string {
    return join(this.#site.directory, `${nodeName}.kubeconfig`);
  }
}

/** Puts a file in place in one step, for root alone. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

async function isReady(client: ApiClient): Promise<boolean> {
  try {
    await client.request('GET', '/readyz');
    return true;
  } catch {
    return false; // not listening, or not yet
  }
}
