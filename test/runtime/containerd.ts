import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debianProgram } from '../cluster/programs.ts';
import type { Conflist } from '../lab/cniRuntime.ts';
import { Daemon } from '../lab/daemon.ts';
import type { LabNode } from '../lab/node.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { CriClient, CriError } from './criClient.ts';
import { IMAGE, writeImage } from './image.ts';

/** The paths of a containerd and of what it runs. */
export interface ContainerdPrograms {
  readonly containerd: string;
  /** The directory of `ctr` and of the shim. */
  readonly directory: string;
  readonly runc: string;
}

/** Debian's, as `scripts/unpack.sh` left them. */
export const DEBIAN: ContainerdPrograms = {
  containerd: debianProgram('containerd', '/usr/bin/containerd'),
  directory: debianProgram('containerd', '/usr/bin'),
  runc: debianProgram('runc', '/usr/sbin/runc'),
};

export interface ContainerdOptions {
  /** Of the lab. */
  readonly variables: Readonly<Record<string, string>>;
  /** A directory for the configuration and the log, at the same path on the node. */
  readonly directory: string;
  readonly conflist: Conflist;
  /** The executables of the plugins that the conflist may name. */
  readonly plugins: readonly string[];
  readonly programs: ContainerdPrograms;
}

export const SOCKET = '/run/containerd/containerd.sock';
const ROOT = '/run/containerd-root';

/** containerd on a node of a lab. What it keeps is in the node's own `/run`, and goes with the node. */
export class Containerd {
  /** Calls the runtime that runs now. */
  readonly cri: CriClient;
  readonly #node: LabNode;
  readonly #options: ContainerdOptions;
  #daemon: Daemon | undefined;

  private constructor(node: LabNode, options: ContainerdOptions) {
    this.#node = node;
    this.#options = options;
    this.cri = new CriClient(node.inside(SOCKET), options.variables);
  }

  /** Starts it and returns once it is ready, network and image too. */
  static async start(node: LabNode, options: ContainerdOptions): Promise<Containerd> {
    const { directory, plugins, variables } = options;
    for (const path of ['cni-bin', 'cni-conf']) mkdirSync(join(directory, path), { recursive: true });
    for (const plugin of plugins) symlinkSync(plugin, join(directory, 'cni-bin', basename(plugin)));
    const containerd = new Containerd(node, options);
    containerd.#putConflist(options.conflist);
    await containerd.start();
    const ctr = join(options.programs.directory, 'ctr');
    const archive = await writeImage(directory, variables);
    await output(node.run, [ctr, '--address', SOCKET, '--namespace', 'k8s.io', 'images', 'import', archive]);
    await until('know its image', async () => {
      const request = { image: { image: IMAGE } };
      const { image } = await containerd.cri.call<{ readonly image?: unknown }>('ImageService.ImageStatus', request);
      return image !== undefined;
    });
    return containerd;
  }

  /** Starts it, the first time or again, and returns once it is ready. */
  async start(): Promise<void> {
    const { directory, programs, variables } = this.#options;
    const configFile = join(directory, 'containerd.toml');
    writeFileSync(configFile, this.#configuration());
    const environment = { ...variables, PATH: `${programs.directory}:${variables['PATH']}` };
    const argv = [...enter(this.#node), programs.containerd, '--config', configFile];
    const daemon = new Daemon(argv, { environment, logFile: join(directory, 'containerd.log') });
    this.#daemon = daemon;
    await until('get ready', async () => {
      if (!daemon.isRunning)
        throw new Error(`Cannot start containerd: its log ends with:\n${daemon.log().slice(-2000)}`);
      return this.#isReady();
    });
  }

  /** Sends SIGKILL and waits for the end. Containers run on, and so do plugins that it was waiting for. */
  async kill(): Promise<void> {
    await this.#daemon?.kill();
  }

  /** Puts another conflist in place and returns once it is the one that is used. */
  async setConflist(conflist: Conflist): Promise<void> {
    this.#putConflist(conflist);
    const text = JSON.stringify(conflist);
    await until('take the conflist', async () => {
      const { info } = await this.cri.call<RuntimeStatus>('RuntimeService.Status', { verbose: true });
      return info?.cniconfig.includes(JSON.stringify(text)) ?? false;
    });
  }

  // Aside in the same directory: what comes from another one is not noticed.
  #putConflist(conflist: Conflist): void {
    const path = join(this.#options.directory, 'cni-conf', '10-lab.conflist');
    writeFileSync(`${path}.aside`, JSON.stringify(conflist));
    renameSync(`${path}.aside`, path);
  }

  async #isReady(): Promise<boolean> {
    try {
      const { status } = await this.cri.call<RuntimeStatus>('RuntimeService.Status');
      const ready = status.conditions.filter((condition) => condition.status === true).map(({ type }) => type);
      return ready.includes('RuntimeReady') && ready.includes('NetworkReady');
    } catch (error) {
      if (error instanceof CriError) return false;
      throw error;
    }
  }

  #configuration(): string {
    const { directory, programs } = this.#options;
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    return `version = 2
root = "${ROOT}"
state = "/run/containerd"
[grpc]
address = "${SOCKET}"
[${cri}]
sandbox_image = "${IMAGE}"
netns_mounts_under_state_dir = true
disable_apparmor = true
restrict_oom_score_adj = true
[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
BinaryName = "${programs.runc}"
[${cri}.cni]
bin_dir = "${directory}/cni-bin"
conf_dir = "${directory}/cni-conf"
`;
  }
}

interface RuntimeStatus {
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status?: boolean }[] };
  /** In a verbose answer. */
  readonly info?: { readonly cniconfig: string };
}

/** Returns what to put before a command line so that it runs on the node. */
export function enter({ pid }: LabNode): readonly string[] {
  return ['nsenter', `--mount=/proc/${pid}/ns/mnt`, `--net=/proc/${pid}/ns/net`, '--'];
}

/** Looks every few milliseconds until something holds; throws after ten seconds. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 10_000): Promise<void> {
  for (const deadline = monotonicMs() + limitMs; !(await holds()); await sleep(10))
    if (monotonicMs() > deadline) throw new Error(`Waited ${limitMs} ms in vain for it to ${what}`);
}
