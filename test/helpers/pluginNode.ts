import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { acknowledge, readAttachments } from '../../src/rendezvous/attachment.ts';
import { writeExpected, type ExpectedPod } from '../../src/rendezvous/expected.ts';
import { beat, endHeartbeat } from '../../src/rendezvous/heartbeat.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { claimLab, removeLab } from '../lab/leftovers.ts';
import { holdNamespace, type HeldNamespace } from '../lab/namespace.ts';
import { pathWithout } from '../lab/pathWithout.ts';
import { labEnvironment, output, runner, type Run } from '../lab/run.ts';

export interface Answer {
  readonly exitCode: number | undefined;
  /** What was printed, decoded; `undefined` when nothing was. */
  readonly printed: Record<string, unknown> | undefined;
}

export interface Pod {
  readonly containerId: string;
  readonly name: string;
  readonly uid?: string;
  readonly addresses: readonly string[];
  /** Its interface on the node, on the bridge or not. */
  readonly link: string;
  readonly bridged: boolean;
}

/** A network namespace with links made by hand, in which the plugin is run from its source by a test that plays the runtime and the agent. */
export class PluginNode {
  readonly run: Run;
  /** The PATH of the plugin. */
  readonly path: string;
  readonly #id: string;
  readonly #pid: number;
  #agent: NodeJS.Timeout | undefined;

  /** The plugin is to be without the programs of these names; the tests' own scripts have them. */
  static async start({ withoutPrograms }: { readonly withoutPrograms?: RegExp } = {}): Promise<PluginNode> {
    const { id } = claimLab();
    const script =
      'mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; ip link set lo up; echo ready; exec sleep infinity >/dev/null 2>&1';
    const held = await holdNamespace(['sh', '-c', script], { mounts: true, environment: labEnvironment(id) });
    const node = new PluginNode(id, { held, path: withoutPrograms === undefined ? PATH : PROGRAMS });
    if (withoutPrograms !== undefined) pathWithout(withoutPrograms, { path: PATH, directory: node.inside(PROGRAMS) });
    writeFileSync(node.inside(PROGRAM), await pluginSource());
    return node;
  }

  private constructor(id: string, { held, path }: { readonly held: HeldNamespace; readonly path: string }) {
    this.#id = id;
    this.#pid = held.pid;
    this.path = path;
    this.run = runner(held.enter, labEnvironment(id));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#agent);
    removeLab(this.#id);
  }

  /** The node's runtimeDir as this process reaches it. */
  get runtimeDir(): string {
    return this.inside('/run/kube-nwplcy');
  }

  inside(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  async shell(script: string): Promise<string> {
    return output(this.run, ['sh', '-ec', script]);
  }

  /** Makes the pod's interface on the node, and the bridge when it is the first on it. */
  async link({ link, bridged, addresses }: Pod): Promise<void> {
    await this.shell(`ip link add ${link} type veth peer name p${link}; ip link set ${link} up`);
    if (bridged) {
      await this.shell('ip link add cni0 type bridge 2>/dev/null || true; ip link set cni0 up');
      await this.shell(
        'echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables',
      );
      await this.shell(`ip link set ${link} master cni0`);
    } else {
      await this.shell(addresses.map((address) => `ip route add ${address} dev ${link}`).join(';'));
    }
  }

  /** Runs the plugin as a runtime does for a pod; `config` and `env` override, `wrapper` is put before its command line. */
  async plugin(
    command: string,
    pod: Pod,
    { config = {}, env = {}, wrapper = [] }: PluginOptions = {},
  ): Promise<Answer> {
    const args = ['IgnoreUnknown=1', 'K8S_POD_NAMESPACE=shop', `K8S_POD_NAME=${pod.name}`];
    const parameters = {
      PATH: this.path,
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod.containerId,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/run/netns/pod',
      CNI_ARGS: [...args, ...(pod.uid === undefined ? [] : [`K8S_POD_UID=${pod.uid}`])].join(';'),
    };
    const plain = { cniVersion: '1.0.0', name: 'pods', type: 'kube-nwplcy', logFile: '/run/plugin.log' };
    const input = JSON.stringify({ ...plain, prevResult: resultFor(pod), ...config });
    // By env(1), because a PATH that leads nowhere must not keep the node from being entered.
    const variables = Object.entries({ ...parameters, ...env }).map(([name, value]) => `${name}=${value}`);
    const argv = [...wrapper, '/usr/bin/env', ...variables, process.execPath, PROGRAM];
    const { exitCode, stdout, stderr } = await this.run(argv, { input });
    if (stderr !== '') throw new Error(`Cannot go on: the plugin printed to stderr: ${stderr}`);
    return { exitCode, printed: stdout === '' ? undefined : (JSON.parse(stdout) as Record<string, unknown>) };
  }

  /** Plays an agent that is in sync, expects these pods, and acknowledges or not. */
  startAgent(backend: string, { expected = [], acknowledges = true }: AgentOptions = {}): void {
    makeRuntimeDir(this.runtimeDir);
    for (const pod of expected) writeExpected(this.runtimeDir, pod);
    beat(this.runtimeDir, { pid: process.pid, backend });
    this.#agent = setInterval(() => {
      beat(this.runtimeDir, { pid: process.pid, backend });
      if (acknowledges) for (const record of readAttachments(this.runtimeDir)) acknowledge(this.runtimeDir, record);
    }, 20);
  }

  stopAgent(): void {
    clearInterval(this.#agent);
    endHeartbeat(this.runtimeDir);
  }
}

interface PluginOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly wrapper?: readonly string[];
}

interface AgentOptions {
  readonly expected?: readonly ExpectedPod[];
  readonly acknowledges?: boolean;
}

const PROGRAM = '/run/plugin.mjs';
const PROGRAMS = '/run/programs';
const { PATH = '' } = labEnvironment('');

let bundled: Promise<string> | undefined;

/** Returns the program in one file without types: reading them at every call would take longer than all the rest. */
function pluginSource(): Promise<string> {
  bundled ??= build({
    entryPoints: [join(import.meta.dirname, '../../src/main.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['./cli/main.ts'],
    write: false,
  }).then(({ outputFiles }) => outputFiles[0]?.text ?? '');
  return bundled;
}

/** Returns what the plugin `bridge` or `ptp` would have returned for the pod. */
export function resultFor({ link, bridged, addresses }: Pod): Record<string, unknown> {
  const onNode = bridged ? [{ name: 'cni0' }, { name: link }] : [{ name: link }];
  return {
    cniVersion: '1.0.0',
    interfaces: [...onNode, { name: 'eth0', sandbox: '/run/netns/pod' }],
    ips: addresses.map((address) => ({
      address: `${address}/${address.includes(':') ? 64 : 24}`,
      interface: onNode.length,
    })),
    dns: {},
  };
}
