import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { IP_FAMILIES } from '../../src/net/family.ts';
import { program } from '../cluster/programs.ts';
import { cgroupOf } from '../lab/cgroups.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import { Daemon } from '../lab/daemon.ts';
import { labEnvironment, output } from '../lab/run.ts';
import { enter, SOCKET, until } from './containerd.ts';
import { printedLines } from './processes.ts';
import type { LabNode } from '../lab/node.ts';
import type { RuntimeNode } from './runtimeNode.ts';

/** What the kubelet wants of the whole machine's kernel, and gets to see: written to files instead (`cm.setupKernelTunables`). */
const TUNABLES: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

export interface KubeletOptions {
  /** If not given, it runs without an API server: all its pods are static ones. */
  readonly kubeconfig?: string;
}

/** The kubelet on a node with a runtime. */
export class Kubelet {
  readonly #node: LabNode;
  readonly #options: KubeletOptions;
  readonly #directory: string;
  readonly #environment: Readonly<Record<string, string>>;
  #daemon: Daemon | undefined;

  private constructor({ lab, node }: RuntimeNode, options: KubeletOptions) {
    this.#node = node;
    this.#options = options;
    this.#directory = join(lab.directory, node.name, 'kubelet');
    this.#environment = labEnvironment(basename(lab.directory));
  }

  /** Starts it and returns at once. */
  static async start(at: RuntimeNode, options: KubeletOptions = {}): Promise<Kubelet> {
    const kubelet = new Kubelet(at, options);
    const { lab, node } = at;
    const directory = kubelet.#directory;
    mkdirSync(join(directory, 'pods'), { recursive: true });
    await output(node.run, ['mount', '-t', 'tmpfs', 'tmpfs', '/var/log']);
    for (const [key, value] of Object.entries(TUNABLES)) {
      const file = join(directory, basename(key));
      writeFileSync(file, value);
      await output(node.run, ['mount', '--bind', file, `/proc/sys/${key}`]);
    }
    const configuration = configurationOf(join(directory, 'pods'), cgroupOf(basename(lab.directory)));
    writeFileSync(join(directory, 'config.json'), JSON.stringify(configuration));
    kubelet.#start();
    return kubelet;
  }

  /** Returns once it has written the rules of its own. */
  async untilReady(): Promise<void> {
    const written = () => this.#daemon?.log().match(/"Initialized iptables rules\."/g) ?? [];
    await until('write its rules', () => written().length >= IP_FAMILIES.length);
  }

  /** Puts a static pod in place. */
  addPod(name: string, pod: JsonObject): void {
    writeFileSync(join(this.#directory, 'pods', `${name}.json`), JSON.stringify(pod));
  }

  removePod(name: string): void {
    rmSync(join(this.#directory, 'pods', `${name}.json`), { force: true });
  }

  /** Kills it and starts another. */
  async restart(): Promise<void> {
    await this.#daemon?.kill();
    this.#start();
  }

  #start(): void {
    const { kubeconfig } = this.#options;
    const flags = [
      `--config=${join(this.#directory, 'config.json')}`,
      `--hostname-override=${this.#node.name}`,
      `--node-ip=${this.#node.addresses[0]}`,
      ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
    ];
    this.#daemon = new Daemon([...enter(this.#node), program('kubelet'), ...flags], {
      environment: this.#environment,
      logFile: join(this.#directory, 'log'),
    });
  }
}

function configurationOf(staticPodPath: string, cgroupRoot: string): JsonObject {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    staticPodPath,
    fileCheckFrequency: '1s',
    containerRuntimeEndpoint: `unix://${SOCKET}`,
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    cgroupRoot,
    failSwapOn: false,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    localStorageCapacityIsolation: false,
    nodeStatusUpdateFrequency: '1s',
  };
}

/** Returns the lines that the container `main` of a pod of the kubelet has printed to its standard output since its last start. */
export function containerOutput(
  node: LabNode,
  { namespace, name, uid }: { readonly namespace: string; readonly name: string; readonly uid: string },
): readonly string[] {
  const directory = node.inside(`/var/log/pods/${namespace}_${name}_${uid}/main`);
  // `0.log`, `1.log` and so on, of which old ones go.
  const starts = readdirSync(directory).map((file) => Number.parseInt(file, 10));
  return printedLines(join(directory, `${Math.max(...starts)}.log`));
}
