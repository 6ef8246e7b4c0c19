import { randomUUID } from 'node:crypto';
import { basename, join } from 'node:path';
import { cgroupOf } from '../lab/cgroups.ts';
import type { JsonObject } from '../lab/cniRuntime.ts';
import type { PodManifest } from '../lab/manifests.ts';
import { IMAGE } from './image.ts';
import { printedLines, sandboxPid, untilListening } from './processes.ts';
import type { RuntimeNode } from './runtimeNode.ts';

export interface SandboxSpec {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly hostNetwork?: boolean;
  /** `false`: no Pod object is written, as if the API server said nothing of it. */
  readonly manifest?: boolean;
}

// `NamespaceMode` of the CRI.
const NAMESPACE_MODE = { pod: 'POD', container: 'CONTAINER', node: 'NODE' } as const;

/** A pod in the hands of the runtime: what the kubelet would ask for it, call by call. */
export class Sandbox {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly #spec: SandboxSpec;
  readonly #at: RuntimeNode;
  #id: string | undefined;
  #attempt = 0;

  constructor(spec: SandboxSpec, at: RuntimeNode) {
    this.namespace = spec.namespace;
    this.name = spec.name;
    this.uid = spec.uid ?? randomUUID();
    this.#spec = spec;
    this.#at = at;
  }

  get key(): string {
    return `${this.namespace}/${this.name}`;
  }

  /** The runtime's name for the sandbox that it made last, CNI_CONTAINERID. */
  get id(): string {
    if (this.#id === undefined) throw new Error(`Cannot name the sandbox of ${this.key}: there is none`);
    return this.#id;
  }

  /** Puts the object in place as the scheduler leaves it. `run` does it too. */
  async announce(): Promise<void> {
    if (this.#spec.manifest !== false) await this.#at.lab.manifests.createPod(this.manifest());
  }

  /**
   * Makes a sandbox, the first or, under another number, the next one. Its object is there before; it stays as it is when it was `announced` already.
   * Throws the `CriError` of the runtime.
   */
  async run({ announced = false }: { readonly announced?: boolean } = {}): Promise<void> {
    if (!announced) await this.announce();
    const config = this.#config();
    // Each try has a number of its own: the runtime takes no other sandbox of the same name until the last one is removed.
    this.#attempt += 1;
    const { podSandboxId } = await this.#call<{ readonly podSandboxId: string }>('RunPodSandbox', { config });
    this.#id = podSandboxId;
  }

  /** Returns the addresses that the runtime tells. */
  async addresses(): Promise<readonly string[]> {
    const { network } = await this.#status();
    const { ip, additionalIps = [] } = network;
    return [ip, ...additionalIps.map((each) => each.ip)];
  }

  /** Tells whether the sandbox's own process is there. */
  async isReady(): Promise<boolean> {
    // The state that is 0, SANDBOX_READY, is left out.
    return (await this.#status()).state === undefined;
  }

  /** Returns the process id of the sandbox's own process. */
  async pid(): Promise<number> {
    return sandboxPid(this.#at.containerd.cri, this.id);
  }

  /** Puts the addresses into the object, as the kubelet does later. */
  async publish(): Promise<void> {
    await this.#at.lab.manifests.publishPod(this.manifest(await this.addresses()));
  }

  /** Runs a command as the pod's container and returns once it listens at port 80. */
  async startContainer(command: readonly string[]): Promise<void> {
    const { containerId } = await this.#call<{ readonly containerId: string }>('CreateContainer', {
      podSandboxId: this.id,
      sandboxConfig: this.#config(this.#attempt - 1),
      config: {
        metadata: { name: 'main' },
        image: { image: IMAGE },
        command,
        // A value is bytes, and bytes are base64 in the JSON of protocol buffers.
        envs: [{ key: 'NAME', value: Buffer.from(this.key).toString('base64') }],
        logPath: 'main.log',
        linux: { securityContext: { namespaceOptions: this.#namespaces() } },
      },
    });
    await this.#call('StartContainer', { containerId });
    await untilListening(await this.pid());
  }

  /** Returns the lines that the container has printed to its standard output. */
  output(): readonly string[] {
    return printedLines(this.#at.node.inside(join(this.#logDirectory(), 'main.log')));
  }

  /** DEL, and the end of all processes of the newest sandbox. */
  async stop(): Promise<void> {
    await this.#call('StopPodSandbox', { podSandboxId: this.id });
  }

  /** Stops and removes all sandboxes that the runtime has of the pod, those too whose making was never answered, and the object. */
  async delete(): Promise<void> {
    const labelSelector = { uid: this.uid };
    const { items = [] } = await this.#call<SandboxList>('ListPodSandbox', { filter: { labelSelector } });
    for (const { id } of items) {
      await this.#call('StopPodSandbox', { podSandboxId: id });
      await this.#call('RemovePodSandbox', { podSandboxId: id });
    }
    if (this.#spec.manifest !== false) await this.#at.lab.manifests.deletePod(this.manifest());
  }

  manifest(addresses: readonly string[] = []): PodManifest {
    const { namespace, name, labels = {}, hostNetwork = false } = this.#spec;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, uid: this.uid, labels },
      spec: { nodeName: this.#at.node.name, hostNetwork, containers: [{ name: 'main', image: IMAGE }] },
      status: { phase: addresses.length === 0 ? 'Pending' : 'Running', podIPs: addresses.map((ip) => ({ ip })) },
    };
  }

  async #status(): Promise<SandboxStatus> {
    const request = { podSandboxId: this.id };
    return (await this.#call<{ readonly status: SandboxStatus }>('PodSandboxStatus', request)).status;
  }

  async #call<Response>(method: string, request: JsonObject): Promise<Response> {
    return this.#at.containerd.cri.call(`RuntimeService.${method}`, request);
  }

  #config(attempt = this.#attempt): JsonObject {
    return {
      metadata: { name: this.name, namespace: this.namespace, uid: this.uid, attempt },
      labels: { uid: this.uid },
      logDirectory: this.#logDirectory(),
      linux: {
        cgroupParent: cgroupOf(basename(this.#at.lab.directory)),
        securityContext: { namespaceOptions: this.#namespaces() },
      },
    };
  }

  #namespaces(): JsonObject {
    const network = this.#spec.hostNetwork === true ? NAMESPACE_MODE.node : NAMESPACE_MODE.pod;
    return { network, pid: NAMESPACE_MODE.container, ipc: NAMESPACE_MODE.pod };
  }

  #logDirectory(): string {
    return `/run/pod-logs/${this.namespace}_${this.name}_${this.uid}`;
  }
}

// Of messages of the CRI, as they are read here. What is empty is left out.

interface SandboxStatus {
  readonly state?: string;
  readonly network: { readonly ip: string; readonly additionalIps?: readonly { readonly ip: string }[] };
}

interface SandboxList {
  readonly items?: readonly { readonly id: string }[];
}
