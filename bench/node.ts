import { mkdirSync, symlinkSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { env, execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { askAgent } from '../src/cli/agentClient.ts';
import type { Backend } from '../src/dataplane/backend.ts';
import type { Daemon } from '../test/lab/daemon.ts';
import { readAttachment } from '../src/rendezvous/attachment.ts';
import { startLab, type Lab, type LabOptions } from '../test/lab/lab.ts';
import type { LabNode } from '../test/lab/node.ts';
import { labEnvironment, output } from '../test/lab/run.ts';
import type { Call, CallerApi } from './caller.ts';
import type { MadeUpPod } from './madeUp.ts';
import { Remote } from './remote.ts';

/** The product; another executable can be measured by this variable. */
const EXECUTABLE = env['KUBE_NWPLCY'] ?? resolve(import.meta.dirname, '../dist/kube-nwplcy');

const PLUGINS = '/usr/lib/cni';

export type Command = 'ADD' | 'DEL' | 'CHECK';

/** How a plugin is called for a pod. */
export interface PluginCall {
  readonly command: Command;
  readonly pod: MadeUpPod;
  /** `kube-nwplcy` is the product, other names are Debian's plugins. */
  readonly plugin: string;
  /** Further keys of the plugin's configuration. */
  readonly config?: object;
}

/** A node of a lab with the product, where pods can be attached that are nothing but a veth and an address: a node is full in seconds. */
export class BenchNode {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly #caller: Remote<CallerApi>;
  readonly #backend: Backend;
  readonly #mode: 'bridge' | 'ptp';
  readonly #variables: Readonly<Record<string, string>>;

  private constructor(lab: Lab, { backend = 'iptables-nft', mode = 'bridge' }: BenchNodeOptions) {
    this.lab = lab;
    this.node = lab.node(1);
    this.#backend = backend;
    this.#mode = mode;
    const variables = labEnvironment(basename(lab.directory));
    this.#variables = { ...variables, PATH: `${plainTools(lab.directory, backend)}:${variables['PATH']}` };
    const { pid } = this.node;
    const enter = ['nsenter', `--mount=/proc/${pid}/ns/mnt`, `--net=/proc/${pid}/ns/net`, '--'];
    this.#caller = new Remote<CallerApi>([...enter, execPath, join(import.meta.dirname, 'caller.ts')], variables);
  }

  static async start(options: BenchNodeOptions = {}): Promise<BenchNode> {
    const { backend = 'iptables-nft', mode = 'bridge', objects } = options;
    const lab = await startLab({
      families: ['ipv4'],
      mode,
      listen: [80],
      product: { executable: EXECUTABLE, conflist: { backend } },
      ...(objects !== undefined && { objects }),
    });
    const bench = new BenchNode(lab, options);
    if (mode === 'bridge') await bench.#ip(['link add cni0 type bridge', 'link set cni0 up']);
    return bench;
  }

  /** Starts the agent and returns once it answers `sync`. */
  async startAgent(args: readonly string[] = []): Promise<Daemon> {
    return this.node.startAgent(['--backend', this.#backend, ...args]);
  }

  /** Starts the agent and returns at once. */
  launchAgent(args: readonly string[] = []): Daemon {
    return this.node.launchAgent(['--backend', this.#backend, ...args]);
  }

  /** Returns once the kernel holds what the source says now. */
  async sync(): Promise<void> {
    const reply = await askAgent(
      { ask: 'sync' },
      { runtimeDir: this.node.inside(this.node.runtimeDir), timeoutMs: 120_000 },
    );
    if (reply.kind !== 'synced' || reply.problems.length > 0)
      throw new Error(`Cannot measure: the agent answers ${JSON.stringify(reply)}`);
  }

  /** Returns once the agent has nothing to do. */
  async settle(): Promise<void> {
    await this.sync();
    await sleep(50);
  }

  /** Makes the interfaces of pods. */
  async link(pods: readonly MadeUpPod[]): Promise<void> {
    await this.#ip(
      pods.flatMap((pod) => {
        const name = hostInterface(pod);
        const joined =
          this.#mode === 'bridge' ? [`link set ${name} master cni0`] : [`route add ${pod.address} dev ${name}`];
        return [`link add ${name} type veth peer name ${name}p`, `link set ${name} up`, ...joined];
      }),
    );
  }

  /** Removes the interfaces of pods, and with them routes. */
  async unlink(pods: readonly MadeUpPod[]): Promise<void> {
    await this.#ip(pods.map((pod) => `link delete ${hostInterface(pod)}`));
  }

  /** Makes the interfaces of pods and runs the product's ADD for each: quick while there is no agent, who then judges them when it starts. */
  async attach(pods: readonly MadeUpPod[]): Promise<void> {
    await this.link(pods);
    for (let at = 0; at < pods.length; at += 8)
      await this.callAll(pods.slice(at, at + 8).map((pod) => ({ command: 'ADD', plugin: 'kube-nwplcy', pod })));
  }

  /** Returns how many of these attached pods are refused everything: no agent told their ADD in time how to judge them. */
  quarantined(pods: readonly MadeUpPod[]): number {
    const records = pods.map(({ uid }) =>
      readAttachment(this.node.inside(this.node.runtimeDir), { containerId: `c-${uid}`, ifName: 'eth0' }),
    );
    return records.filter((record) => record?.judgements?.ingress.kind === 'quarantine').length;
  }

  /** Runs a program and returns how long it took, in milliseconds. */
  async run(argv: readonly string[]): Promise<number> {
    return this.#caller.call('run', { argv, env: {}, input: '' });
  }

  /** Runs programs at once and returns how long it took until the last had ended, in milliseconds. */
  async runAll(programs: readonly (readonly string[])[]): Promise<number> {
    return this.#caller.call(
      'runAll',
      programs.map((argv) => ({ argv, env: {}, input: '' })),
    );
  }

  /** Calls a plugin and returns how long it took, in milliseconds. Throws what it said if it failed. */
  async call(plugin: PluginCall): Promise<number> {
    return this.#caller.call('run', this.#callOf(plugin));
  }

  /** Calls plugins at once and returns how long it took until the last had ended, in milliseconds. */
  async callAll(plugins: readonly PluginCall[]): Promise<number> {
    return this.#caller.call(
      'runAll',
      plugins.map((plugin) => this.#callOf(plugin)),
    );
  }

  #callOf({ command, plugin, pod, config }: PluginCall): Call {
    const isProduct = plugin === 'kube-nwplcy';
    const own = isProduct ? { runtimeDir: this.node.runtimeDir, backend: this.#backend, logLevel: 'error' } : {};
    return {
      argv: [isProduct ? EXECUTABLE : `${PLUGINS}/${plugin}`],
      env: {
        PATH: this.#variables['PATH'] ?? '',
        CNI_COMMAND: command,
        CNI_CONTAINERID: `c-${pod.uid}`,
        CNI_NETNS: `/run/netns/${pod.name}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: PLUGINS,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`,
      },
      input: JSON.stringify({
        cniVersion: '1.0.0',
        name: 'bench',
        type: plugin,
        ...own,
        ...config,
        prevResult: this.#prevResult(pod),
      }),
    };
  }

  /** What bridge or ptp would have told. */
  #prevResult(pod: MadeUpPod) {
    const own = [
      { name: hostInterface(pod), mac: 'aa:aa:aa:aa:aa:01' },
      { name: 'eth0', mac: 'aa:aa:aa:aa:aa:02', sandbox: `/run/netns/${pod.name}` },
    ];
    const interfaces = this.#mode === 'bridge' ? [{ name: 'cni0', mac: 'aa:aa:aa:aa:aa:00' }, ...own] : own;
    return {
      cniVersion: '1.0.0',
      interfaces,
      ips: [{ interface: interfaces.length - 1, address: `${pod.address}/16`, gateway: '10.245.0.1' }],
    };
  }

  async #ip(lines: readonly string[]): Promise<void> {
    await output(this.node.run, ['ip', '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
  }

  stop(): void {
    this.lab.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

export interface BenchNodeOptions extends Pick<LabOptions, 'objects'> {
  readonly backend?: Backend;
  readonly mode?: 'bridge' | 'ptp';
}

function hostInterface({ name }: MadeUpPod): string {
  return `v${name}`;
}

/** Other plugins run `iptables`, whichever that is on this machine: here it is the backend's, and the one of nf_tables beside nftables. */
function plainTools(directory: string, backend: Backend): string {
  const tools = join(directory, 'tools');
  mkdirSync(tools);
  for (const tool of [
    'iptables',
    'iptables-save',
    'iptables-restore',
    'ip6tables',
    'ip6tables-save',
    'ip6tables-restore',
  ])
    symlinkSync(
      `/usr/sbin/${tool.replace('tables', backend === 'iptables-legacy' ? 'tables-legacy' : 'tables-nft')}`,
      join(tools, tool),
    );
  return tools;
}
