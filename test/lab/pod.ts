import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyOf } from '../../src/net/family.ts';
import type { Attachment, CniResult } from './cniRuntime.ts';
import type { PodAttacher } from './cnitool.ts';
import type { PodManifest } from './manifests.ts';
import type { PodObjects } from './podObjects.ts';
import { monotonicMs, type Probe } from './probe.ts';
import type { Party } from './matrix.ts';
import type { Run } from './run.ts';

export interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Containers' ports; a policy needs them only for named ports. */
  readonly ports?: readonly { readonly name: string; readonly containerPort: number; readonly protocol?: string }[];
  /** At most one of each family, from the node's pod CIDRs; the next free ones if not given. */
  readonly addresses?: readonly string[];
  /**
   * The link address, with bridge only. A neighbour that has it as a permanent entry need not ask for it, so that its packets are there the
   * moment the interface is; asking would give them pauses in which a hammer sees nothing.
   */
  readonly mac?: string;
  /** With `flannel` only. */
  readonly portMappings?: readonly PortMapping[];
  /** An API server gives another. */
  readonly uid?: string;
  /** `false`: nothing answers until `listen`. A container runtime starts containers when ADD has returned, never before. */
  readonly listens?: boolean;
  /** `true`: the plain plugins alone attach it, as before the product came to the node. */
  readonly plain?: boolean;
  /** `false`: no Pod object is written, as if the API server said nothing of it. */
  readonly manifest?: boolean;
  /**
   * How late the kubelet is: for so long after ADD the addresses are not in `status`; with `Infinity` not before `publish`. If not given, they are
   * there when `attach` returns.
   */
  readonly publishAfterMs?: number;
}

/** A port of the node that leads to the pod, `hostPort` in a Pod object (CNI conventions, `portMappings`). */
export interface PortMapping {
  readonly [key: string]: string | number;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** What a pod needs of its node. */
export interface PodEnvironment {
  readonly nodeName: string;
  readonly netns: string;
  readonly probe: Probe;
  /** Makes the probe answer at the ports of the lab. */
  readonly listen: () => Promise<void>;
  readonly run: Run;
  readonly attacher: PodAttacher;
  readonly objects: PodObjects;
  /** Forgets the pod, ends its probe and removes its namespace. */
  readonly dispose: () => Promise<void>;
}

/** A pod: a network namespace with a probe that listens, before `attach` with no other interface than lo. */
export class LabPod implements Party {
  readonly namespace: string;
  readonly name: string;
  readonly containerId = randomBytes(32).toString('hex');
  readonly ifName = 'eth0';
  readonly #spec: PodSpec;
  readonly #environment: PodEnvironment;
  #result: CniResult | undefined;
  #uid: string;
  #isAnnounced = false;
  #lateKubelet = new AbortController();
  #published: Promise<number | undefined> = Promise.resolve(undefined);
  /** When the last ADD began and ended (`monotonicMs`). */
  addTimes: { readonly startedAt: number; readonly endedAt: number } = { startedAt: 0, endedAt: 0 };

  constructor(spec: PodSpec, environment: PodEnvironment) {
    this.namespace = spec.namespace;
    this.name = spec.name;
    this.#uid = spec.uid ?? randomUUID();
    this.#spec = spec;
    this.#environment = environment;
  }

  /** `namespace/name`, also what its probe answers with. */
  get key(): string {
    return `${this.namespace}/${this.name}`;
  }

  /** That of its object, once there is one. */
  get uid(): string {
    return this.#uid;
  }

  get probe(): Probe {
    return this.#environment.probe;
  }

  /** Runs a program in the pod. */
  get run(): Run {
    return this.#environment.run;
  }

  /** The path of its network namespace inside the node. */
  get netns(): string {
    return this.#environment.netns;
  }

  /** The result of the ADD; `undefined` while not attached. */
  get result(): CniResult | undefined {
    return this.#result;
  }

  /** Empty while not attached. */
  get addresses(): readonly string[] {
    return (this.#result?.ips ?? []).map(({ address }) => address.slice(0, address.indexOf('/')));
  }

  endpoint(address: string) {
    return { kind: 'pod', namespace: this.namespace, name: this.name, address } as const;
  }

  /** What the CNI runtime calls this pod's interface. */
  get attachment(): Attachment {
    const ips = this.#spec.addresses?.map((address) => `${address}/${familyOf(address) === 'ipv4' ? 24 : 64}`);
    return {
      containerId: this.containerId,
      ifName: this.ifName,
      netns: this.netns,
      args: {
        IgnoreUnknown: '1',
        K8S_POD_NAMESPACE: this.namespace,
        K8S_POD_NAME: this.name,
        K8S_POD_INFRA_CONTAINER_ID: this.containerId,
        K8S_POD_UID: this.uid,
      },
      capabilityArgs: { ips, mac: this.#spec.mac, portMappings: this.#spec.portMappings },
    };
  }

  /**
   * Runs ADD, in the order of a real cluster: the Pod object first, as the scheduler leaves it, and its addresses in `status` after ADD. Throws
   * the `CniFailure` of the plugin that failed; the pod is then not attached.
   */
  async attach(): Promise<CniResult> {
    await this.announce();
    const startedAt = monotonicMs();
    this.#result = await this.#environment.attacher.add(this.attachment);
    this.addTimes = { startedAt, endedAt: monotonicMs() };
    this.#isAnnounced = false;
    const { publishAfterMs = 0 } = this.#spec;
    if (publishAfterMs === 0) await this.publish();
    else if (publishAfterMs !== Number.POSITIVE_INFINITY) this.#published = this.#publishAfter(publishAfterMs);
    return this.#result;
  }

  /** Puts the addresses into the object's `status`, as the kubelet does, and returns when that was done (`monotonicMs`). */
  async publish(): Promise<number> {
    this.#lateKubelet.abort();
    if (this.#spec.manifest !== false) await this.#environment.objects.publishPod(this.#manifest(this.addresses));
    return monotonicMs();
  }

  /** Resolves when a late kubelet has put the addresses into `status`, with when that was; with `undefined` if it never did. */
  get published(): Promise<number | undefined> {
    return this.#published;
  }

  /** Puts the object in place as the scheduler leaves it. `attach` does it for a pod that was not announced since its last ADD. */
  async announce(): Promise<void> {
    if (this.#spec.manifest === false || this.#isAnnounced) return;
    this.#uid = await this.#environment.objects.createPod(this.#manifest());
    this.#isAnnounced = true;
  }

  /** Starts the listeners of a pod that was made without. */
  async listen(): Promise<void> {
    await this.#environment.listen();
  }

  /** Runs DEL. The namespace stays, and with it the listeners: the pod can be attached again. */
  async detach(): Promise<void> {
    this.#lateKubelet.abort();
    await this.#environment.attacher.del(this.attachment);
    this.#result = undefined;
  }

  /** Runs CHECK; throws the `CniFailure` of the plugin that found something missing. */
  async check(): Promise<void> {
    await this.#environment.attacher.check(this.attachment);
  }

  /** Runs DEL, removes the Pod object and the namespace, as the kubelet does. */
  async delete(): Promise<void> {
    await this.detach();
    if (this.#spec.manifest !== false) await this.#environment.objects.deletePod(this.#manifest());
    await this.#environment.dispose();
  }

  async #publishAfter(delayMs: number): Promise<number | undefined> {
    const { signal } = (this.#lateKubelet = new AbortController());
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    return signal.aborted ? undefined : this.publish();
  }

  #manifest(addresses: readonly string[] = []): PodManifest {
    const { namespace, name, labels = {}, ports = [] } = this.#spec;
    const podIPs = addresses.map((ip) => ({ ip }));
    const status = addresses.length === 0 ? { phase: 'Pending' } : { phase: 'Running', podIP: addresses[0], podIPs };
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, uid: this.uid, labels },
      spec: { nodeName: this.#environment.nodeName, containers: containersOf(ports) },
      status,
    };
  }
}

// One container a port: the API server allows a name once in a container, and as often as one likes in a pod.
function containersOf(ports: NonNullable<PodSpec['ports']>): readonly object[] {
  return [
    { name: 'main', image: 'none' },
    ...ports.map((port, index) => ({ name: `c${index}`, image: 'none', ports: [port] })),
  ];
}
