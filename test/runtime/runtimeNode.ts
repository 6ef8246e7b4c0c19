import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { env } from 'node:process';
import { IP_FAMILIES } from '../../src/net/family.ts';
import { readAttachments, type Attachment } from '../../src/rendezvous/attachment.ts';
import { backendUnderTest, productOf } from '../kernel/backend.ts';
import { settledSnapshot } from '../kernel/settled.ts';
import { podCidr } from '../lab/addressing.ts';
import type { Conflist, JsonObject, PluginConf } from '../lab/cniRuntime.ts';
import { conflistFor } from '../lab/conflist.ts';
import type { Daemon } from '../lab/daemon.ts';
import { writeFakePlugin } from '../lab/fakePlugin.ts';
import { startLab, type Lab, type LabOptions } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { labEnvironment } from '../lab/run.ts';
import { filesSnapshot } from '../lab/snapshot.ts';
import { Containerd, DEBIAN, until, type ContainerdPrograms } from './containerd.ts';
import { Sandbox, type SandboxSpec } from './sandbox.ts';

export interface RuntimeNodeOptions {
  /** Further keys of the product's part of the conflist. */
  readonly conflist?: JsonObject;
  /** `1.0.0` if not given: the latest that the plugins of Debian 12 know. */
  readonly cniVersion?: string;
  /** Debian's if not given. */
  readonly programs?: ContainerdPrograms;
  /** Where the plain plugins are; Debian's if not given. */
  readonly plugins?: string;
  /** Where pods are announced, as `startLab` takes it. */
  readonly objects?: LabOptions['objects'];
}

/** Plugins around the product in the chain, each a fake one (`writeFakePlugin`) of this type. */
export interface Neighbours {
  readonly before?: readonly PluginConf[];
  readonly after?: readonly PluginConf[];
}

export const FAKE = 'fake';

const PLAIN = '/usr/lib/cni';
const BUILT = env['KUBE_NWPLCY'] ?? resolve(import.meta.dirname, '../../dist/kube-nwplcy');
/** The conflist says nothing of a backend: the plugin follows the agent. */
const AGENT_FLAGS = ['--backend', backendUnderTest];

/** The first node of a lab of two, with containerd and an agent. The second has an agent and no runtime. */
export class RuntimeNode {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly containerd: Containerd;
  readonly #options: RuntimeNodeOptions;
  readonly #sandboxes = new Set<Sandbox>();
  /** That was started last. */
  agent: Daemon;

  private constructor(
    lab: Lab,
    parts: { readonly containerd: Containerd; readonly agent: Daemon; readonly options: RuntimeNodeOptions },
  ) {
    this.lab = lab;
    this.node = lab.node(1);
    this.containerd = parts.containerd;
    this.agent = parts.agent;
    this.#options = parts.options;
  }

  static async start(options: RuntimeNodeOptions = {}): Promise<RuntimeNode> {
    const { conflist = {}, programs = DEBIAN, plugins = PLAIN, objects } = options;
    const product = { executable: BUILT, ...productOf(backendUnderTest, conflist) };
    const lab = await startLab({ nodes: 2, product, ...(objects !== undefined && { objects }) });
    try {
      const node = lab.node(1);
      const directory = join(lab.directory, node.name);
      const plain = ['bridge', 'host-local', 'loopback'].map((name) => join(plugins, name));
      const starting = Containerd.start(node, {
        variables: labEnvironment(basename(lab.directory)),
        directory,
        programs,
        conflist: conflistOf(options, {}),
        plugins: [BUILT, ...plain, writeFakePlugin(lab.directory, FAKE)],
      });
      // All at once: where the runtime asks, the network is not ready without the agent.
      const [containerd, agent] = await Promise.all([
        starting,
        node.startAgent(AGENT_FLAGS),
        lab.node(2).startAgent(AGENT_FLAGS),
      ]);
      return new RuntimeNode(lab, { containerd, agent, options });
    } catch (error) {
      lab.stop();
      throw error;
    }
  }

  async startAgent(): Promise<void> {
    this.agent = await this.node.startAgent(AGENT_FLAGS);
  }

  /** Returns a pod for which nothing has been asked of the runtime yet; its object is in place, unless the spec says otherwise. */
  sandbox(spec: SandboxSpec): Sandbox {
    const sandbox = new Sandbox(spec, this);
    this.#sandboxes.add(sandbox);
    return sandbox;
  }

  /** Returns a pod that the runtime has just made. */
  async runSandbox(spec: SandboxSpec): Promise<Sandbox> {
    const sandbox = this.sandbox(spec);
    await sandbox.run();
    return sandbox;
  }

  /** Deletes all pods that were made here. */
  async clear(): Promise<void> {
    await Promise.all([...this.#sandboxes].map(async (sandbox) => sandbox.delete()));
    this.#sandboxes.clear();
  }

  /** Changes what is around the product in the chain. */
  async setNeighbours(neighbours: Neighbours): Promise<void> {
    await this.containerd.setConflist(conflistOf(this.#options, neighbours));
  }

  /** Returns the IPv4 address that the next pod on the node will have: host-local gives them out one after the other. */
  nextAddress(): string {
    const file = this.node.inside('/run/cni-networks/lab/last_reserved_ip.0');
    const last = existsSync(file) ? readFileSync(file, 'utf8') : '10.244.1.1';
    return last.replace(/\d+$/, (host) => String(Number(host) + 1));
  }

  /** Returns the names of the plugins that work on a command of the runtime now. */
  pluginsThatRun(command: 'ADD' | 'DEL'): readonly string[] {
    const mark = `CNI_PATH=${join(this.lab.directory, this.node.name, 'cni-bin')}`;
    return readdirSync('/proc').flatMap((pid) => {
      const environment = readOrNothing(`/proc/${pid}/environ`).split('\0');
      if (!environment.includes(mark) || !environment.includes(`CNI_COMMAND=${command}`)) return [];
      return /cni-bin\/([^\0]*)/.exec(readOrNothing(`/proc/${pid}/cmdline`))?.[1] ?? [];
    });
  }

  /** Returns once nothing is attached that `isMeant`, and no DEL of it is under way. */
  async untilDetached(isMeant: (attachment: Attachment) => boolean): Promise<void> {
    const directory = this.node.inside(this.node.runtimeDir);
    const isAttached = () => readAttachments(directory).some(isMeant);
    // DEL takes the record away first.
    await until('be gone', () => !isAttached() && this.pluginsThatRun('DEL').length === 0, 30_000);
  }

  /** Returns what of the product is on the node, once everything has settled: rules, sets, and files about pods. */
  async remains(): Promise<unknown> {
    await this.node.sync();
    const files = Object.keys(filesSnapshot(this.node.inside(this.node.runtimeDir)));
    return {
      netfilter: await settledSnapshot(this.node),
      files: files.filter((path) => /^(expected|attachments|hooked|acknowledged)\//.test(path)),
    };
  }

  [Symbol.dispose](): void {
    this.lab.stop();
  }
}

function conflistOf(
  { conflist, cniVersion = '1.0.0' }: RuntimeNodeOptions,
  { before = [], after = [] }: Neighbours,
): Conflist {
  const podCidrs = IP_FAMILIES.map((family) => podCidr(1, family));
  const product = { type: 'kube-nwplcy', runtimeDir: '/run/kube-nwplcy', ...conflist };
  return { ...conflistFor('bridge', { podCidrs, chained: [...before, product, ...after] }), cniVersion };
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // no process, or one that has ended
  }
}
