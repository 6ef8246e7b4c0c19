import { setTimeout as sleep } from 'node:timers/promises';
import type { Remote } from '../../../bench/remote.ts';
import type { Backend } from '../../../src/dataplane/backend.ts';
import { resultFor } from '../../helpers/pluginNode.ts';
import type { CniCommand, Attachment, JsonObject } from '../../lab/cniRuntime.ts';
import type { LabNode } from '../../lab/node.ts';
import { output } from '../../lab/run.ts';
import type { OwnPod } from './cluster.ts';
import type { ChurnApi } from './program.ts';
import { Random } from './random.ts';

/** So many pods the node has whenever all has settled. */
export const ALIVE = 12;
/** So many start or end at the same time. */
const AT_ONCE = 2;

interface Place {
  readonly link: string;
  readonly addresses: readonly string[];
}

interface Sandbox {
  readonly containerId: string;
  readonly place: Place;
}

interface AlivePod extends OwnPod {
  readonly sandbox: Sandbox;
}

/** Plays kubelet and container runtime of a node: calls the product's plugin for pods that are nothing but an interface on the node. */
export class OwnPods {
  readonly #node: LabNode;
  readonly #remote: Remote<ChurnApi>;
  readonly #backend: Backend;
  readonly #random: Random;
  readonly #alive: AlivePod[] = [];
  readonly #free: Place[] = Array.from({ length: ALIVE + 2 * AT_ONCE }, (_, index) => placeOf(index));
  #containers = 0;

  constructor(
    node: LabNode,
    options: { readonly remote: Remote<ChurnApi>; readonly backend: Backend; readonly seed: number },
  ) {
    this.#node = node;
    this.#remote = options.remote;
    this.#backend = options.backend;
    this.#random = new Random(options.seed);
  }

  /** Makes the interfaces. */
  async link(): Promise<void> {
    const lines = this.#free.flatMap(({ link }) => [
      `link add ${link} type veth peer name p${link}`,
      `link set ${link} up`,
      `link set ${link} master cni0`,
    ]);
    const input = ['link add cni0 type bridge', 'link set cni0 up', ...lines, ''].join('\n');
    await output(this.#node.run, ['ip', '-batch', '-'], { input });
  }

  /** Starts so many pods and ends as many; returns when all that goes on has ended, and the node is full. */
  async churn(count: number): Promise<void> {
    let left = count;
    const worker = async () => {
      for (; left > 0;) {
        left -= 1;
        await this.#start();
        if (this.#alive.length > ALIVE) await this.#end();
        else if (this.#random.once(4)) await this.#startAgain();
        await sleep(this.#random.below(100));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    while (this.#alive.length < ALIVE) await this.#start();
    while (this.#alive.length > ALIVE) await this.#end();
  }

  /** Ends all pods. */
  async clear(): Promise<void> {
    while (this.#alive.length > 0) await this.#end();
  }

  async #start(): Promise<void> {
    const pod = await this.#remote.call('schedule', null);
    // One in so many is deleted before anything starts it.
    if (this.#random.once(10)) return this.#remote.call('deleteOwn', pod);
    const sandbox = await this.#makeSandbox(pod);
    this.#alive.push({ ...pod, sandbox });
  }

  async #makeSandbox(pod: OwnPod): Promise<Sandbox> {
    const place = this.#free.pop();
    if (place === undefined) throw new Error('Cannot start a pod: no interface is free');
    const sandbox = { containerId: `container-${(this.#containers += 1)}`, place };
    await this.#call('ADD', { ...pod, sandbox });
    // A runtime may ask for the same once more.
    if (this.#random.once(10)) await this.#call('ADD', { ...pod, sandbox });
    await this.#remote.call('tell', { ...pod, phase: 'Running', addresses: place.addresses });
    return sandbox;
  }

  /** The pod stays, and gets another interface and other addresses. */
  async #startAgain(): Promise<void> {
    const pod = this.#takeOne();
    if (pod === undefined) return;
    await this.#del(pod);
    this.#alive.push({ ...pod, sandbox: await this.#makeSandbox(pod) });
  }

  async #end(): Promise<void> {
    const pod = this.#takeOne();
    if (pod === undefined) return;
    const { addresses } = pod.sandbox.place;
    switch (this.#random.below(3)) {
      case 0:
        await this.#remote.call('deleteOwn', pod);
        return this.#del(pod);
      case 1:
        await this.#remote.call('tell', { ...pod, phase: 'Succeeded', addresses });
        await this.#del(pod);
        return this.#remote.call('deleteOwn', pod);
      default:
        await this.#del(pod);
        return this.#remote.call('deleteOwn', pod);
    }
  }

  #takeOne(): AlivePod | undefined {
    return this.#alive.splice(this.#random.below(this.#alive.length), 1)[0];
  }

  async #del(pod: AlivePod): Promise<void> {
    await this.#call('DEL', pod);
    if (this.#random.once(5)) await this.#call('DEL', pod);
    this.#free.push(pod.sandbox.place);
  }

  async #call(command: CniCommand, { namespace, name, uid, sandbox }: AlivePod): Promise<void> {
    const { containerId, place } = sandbox;
    const netns = '/run/netns/pod';
    const prevResult = resultFor({ containerId, name, bridged: true, ...place }) as JsonObject;
    const { runtimeDir } = this.#node;
    const config = { type: 'kube-nwplcy', runtimeDir, backend: this.#backend, cniVersion: '1.0.0', name: 'lab' };
    const attachment: Attachment = {
      containerId,
      ifName: 'eth0',
      netns,
      args: { IgnoreUnknown: '1', K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name, K8S_POD_UID: uid },
    };
    await this.#node.cni.call(command, { config: { ...config, prevResult }, attachment });
  }
}

function placeOf(index: number): Place {
  return { link: `veth${index}`, addresses: [`10.244.1.${index + 1}`, `fd00:10:244:1::${(index + 1).toString(16)}`] };
}
